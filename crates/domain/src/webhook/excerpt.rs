//! Excerpts of responses for operators.

use std::fmt;

use crate::masking::mask_numbers;

/// The maximum length of an excerpt.
const CHARACTERS_MAX: usize = 512;

/// The beginning of a response, at most 512 characters on one line. Control characters and
/// bidirectional marks are escaped: the text is not trusted and is shown in terminals and pages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnswerExcerpt(String);

impl AnswerExcerpt {
    /// Creates an excerpt from any bytes. Applied to an excerpt it changes nothing.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut excerpt = String::new();
        let mut room = CHARACTERS_MAX;
        for character in String::from_utf8_lossy(bytes).trim().chars() {
            let spelled = if is_harmless(character) {
                None
            } else {
                Some(character.escape_default().to_string())
            };
            let length = spelled.as_ref().map_or(1, String::len);
            if length > room {
                break;
            }
            room -= length;
            match spelled {
                Some(spelled) => excerpt.push_str(&spelled),
                None => excerpt.push(character),
            }
        }
        Self(excerpt)
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_harmless(character: char) -> bool {
    !character.is_control()
        && !matches!(
            character,
            '\u{61c}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
        )
}

/// Shows the text with phone numbers masked: responses may repeat the event.
impl fmt::Display for AnswerExcerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&mask_numbers(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_in_an_answer_are_masked_when_shown() {
        let excerpt = AnswerExcerpt::of(b"no contact whatsapp:+15550100001");
        assert_eq!(excerpt.to_string(), "no contact whatsapp:+***0001");
    }

    #[test]
    fn control_characters_are_spelled_out() {
        let excerpt = AnswerExcerpt::of("a\r\nb\u{1b}[31m\0\u{202e}ü\n".as_bytes());
        assert_eq!(excerpt.as_str(), r"a\r\nb\u{1b}[31m\u{0}\u{202e}ü");
    }

    #[test]
    fn a_long_answer_is_clipped_between_characters() {
        assert_eq!(
            AnswerExcerpt::of("ü".repeat(600).as_bytes()).as_str(),
            "ü".repeat(512)
        );
        let nearly = [&[b'a'; 511][..], b"\n", b"b"].concat();
        assert_eq!(AnswerExcerpt::of(&nearly).as_str(), "a".repeat(511));
    }

    proptest! {
        #[test]
        fn any_bytes_make_a_short_harmless_line(bytes: Vec<u8>) {
            let excerpt = AnswerExcerpt::of(&bytes);
            prop_assert!(excerpt.as_str().chars().count() <= CHARACTERS_MAX);
            prop_assert!(excerpt.as_str().chars().all(is_harmless));
            prop_assert_eq!(&AnswerExcerpt::of(excerpt.as_str().as_bytes()), &excerpt);
        }
    }
}
