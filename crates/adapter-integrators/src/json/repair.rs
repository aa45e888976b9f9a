//! Repairing a body that is not valid JSON, so that a broken value costs no other: a text cut off
//! within an emoji, a number that no type holds, a byte that is not UTF-8, endless nesting.

use serde_json::Value;

/// Levels of nesting that are kept. `serde_json` parses 127.
const MAX_DEPTH: usize = 100;

/// Returns the body as valid JSON; `None` if its brackets or quotes do not match, or if the
/// outermost value is broken itself.
///
/// Within texts, what cannot be read becomes U+FFFD or a blank. A number or word that is not
/// JSON's, the levels beyond [`MAX_DEPTH`], and an object or array with other broken syntax become
/// `null`. One pass without recursion; the result has at most four times the bytes of the body.
pub(super) fn repaired(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    let mut repair = Repair {
        text: &text,
        at: 0,
        repaired: String::with_capacity(text.len()),
        open: Vec::new(),
        has_root: false,
    };
    while let Some(byte) = repair.peek() {
        repair.token(byte)?;
    }
    (repair.has_root && repair.open.is_empty()).then_some(repair.repaired)
}

struct Repair<'a> {
    text: &'a str,
    /// The position of the next byte.
    at: usize,
    repaired: String,
    /// The objects and arrays around the position, from the outermost one.
    open: Vec<Container>,
    /// Whether the outermost value has begun.
    has_root: bool,
}

struct Container {
    is_object: bool,
    /// Where it begins in the repaired text.
    start: usize,
    expected: Expected,
    is_broken: bool,
}

/// What has to follow in a container.
#[derive(Clone, Copy)]
enum Expected {
    /// A key or an element, or the end.
    FirstItem,
    /// A key or an element, after a comma.
    Item,
    Colon,
    /// The value of a key.
    Value,
    CommaOrEnd,
}

impl Repair<'_> {
    fn peek(&self) -> Option<u8> {
        self.byte(0)
    }

    /// Returns the byte at a distance from the position.
    fn byte(&self, distance: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at + distance).copied()
    }

    fn token(&mut self, byte: u8) -> Option<()> {
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' => self.at += 1,
            b'{' | b'[' => self.open(byte)?,
            b'}' | b']' => self.close(byte)?,
            b',' => self.separator(',', Expected::CommaOrEnd, Expected::Item)?,
            b':' => self.separator(':', Expected::Colon, Expected::Value)?,
            b'"' => {
                self.begin_value(true)?;
                self.string()?;
            }
            _ => {
                self.begin_value(false)?;
                self.word()?;
            }
        }
        Some(())
    }

    /// Begins a value, or a key if one is expected and it is a text. `None` after the end.
    fn begin_value(&mut self, is_text: bool) -> Option<()> {
        let Some(container) = self.open.last_mut() else {
            let is_first = !self.has_root;
            self.has_root = true;
            return is_first.then_some(());
        };
        match (container.is_object, container.expected) {
            (true, Expected::FirstItem | Expected::Item) if is_text => {
                container.expected = Expected::Colon;
            }
            (true, Expected::Value) | (false, Expected::FirstItem | Expected::Item) => {
                container.expected = Expected::CommaOrEnd;
            }
            _ => container.is_broken = true,
        }
        Some(())
    }

    fn separator(&mut self, separator: char, before: Expected, after: Expected) -> Option<()> {
        let container = self.open.last_mut()?;
        let is_expected = matches!(
            (container.expected, before),
            (Expected::CommaOrEnd, Expected::CommaOrEnd) | (Expected::Colon, Expected::Colon)
        );
        container.is_broken |= !is_expected;
        container.expected = after;
        self.repaired.push(separator);
        self.at += 1;
        Some(())
    }

    fn open(&mut self, bracket: u8) -> Option<()> {
        self.begin_value(false)?;
        if self.open.len() == MAX_DEPTH {
            return self.skip();
        }
        self.open.push(Container {
            is_object: bracket == b'{',
            start: self.repaired.len(),
            expected: Expected::FirstItem,
            is_broken: false,
        });
        self.repaired.push(char::from(bracket));
        self.at += 1;
        Some(())
    }

    fn close(&mut self, bracket: u8) -> Option<()> {
        let container = self.open.pop()?;
        if container.is_object != (bracket == b'}') {
            return None;
        }
        let mut is_broken = container.is_broken;
        match container.expected {
            Expected::FirstItem | Expected::CommaOrEnd => {}
            // A comma before the end.
            Expected::Item => {
                self.repaired.pop();
            }
            Expected::Colon | Expected::Value => is_broken = true,
        }
        if is_broken {
            if self.open.is_empty() {
                return None;
            }
            self.repaired.truncate(container.start);
            self.repaired.push_str("null");
        } else {
            self.repaired.push(char::from(bracket));
        }
        self.at += 1;
        Some(())
    }

    /// Replaces an object or array that is nested too deep.
    fn skip(&mut self) -> Option<()> {
        let start = self.repaired.len();
        let mut depth = 0_usize;
        loop {
            match self.peek()? {
                b'"' => {
                    self.string()?;
                    self.repaired.truncate(start);
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                self.repaired.push_str("null");
                return Some(());
            }
        }
    }

    /// Copies a number or word, up to the next blank, bracket, quote or separator. `None` if it is
    /// the outermost value and broken.
    fn word(&mut self) -> Option<()> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let end = rest.find(|c| " \t\n\r{}[],:\"".contains(c));
        let word = end.and_then(|end| rest.get(..end)).unwrap_or(rest);
        let is_valid = serde_json::from_str::<Value>(word).is_ok();
        if self.open.is_empty() && !is_valid {
            return None;
        }
        self.repaired.push_str(if is_valid { word } else { "null" });
        self.at += word.len();
        Some(())
    }

    /// Copies a text with its quotes; `None` if it does not end.
    fn string(&mut self) -> Option<()> {
        self.repaired.push('"');
        self.at += 1;
        loop {
            let rest = self.text.get(self.at..)?;
            let is_special = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
            let plain = rest.bytes().position(is_special)?;
            self.repaired.push_str(rest.get(..plain)?);
            self.at += plain;
            match self.peek()? {
                b'"' => {
                    self.repaired.push('"');
                    self.at += 1;
                    return Some(());
                }
                b'\\' => self.escape(),
                _ => {
                    self.repaired.push(' ');
                    self.at += 1;
                }
            }
        }
    }

    /// Copies an escape sequence. Of an invalid one, U+FFFD replaces the backslash and, in a
    /// surrogate without its other half, the rest.
    fn escape(&mut self) {
        let length = match (self.byte(1), self.unit(0)) {
            (_, Some(0xd800..=0xdbff)) if matches!(self.unit(6), Some(0xdc00..=0xdfff)) => 12,
            (_, Some(0xd800..=0xdfff)) => {
                self.repaired.push('\u{fffd}');
                self.at += 6;
                return;
            }
            (_, Some(_)) => 6,
            (Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't'), None) => 2,
            _ => {
                self.repaired.push('\u{fffd}');
                self.at += 1;
                return;
            }
        };
        let sequence = self.text.get(self.at..self.at + length);
        self.repaired.push_str(sequence.unwrap_or_default());
        self.at += length;
    }

    /// Returns the UTF-16 code unit of an escape sequence, `\u` and four digits, at a distance.
    fn unit(&self, distance: usize) -> Option<u32> {
        let start = self.at + distance;
        let digits = self.text.get(start..start + 6)?.strip_prefix("\\u")?;
        let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        u32::from_str_radix(digits, 16).ok().filter(|_| is_hex)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::lone_high_surrogate(br#"{"a":"x \ud83d","b":1}"#, "{\"a\":\"x \u{fffd}\",\"b\":1}")]
    #[case::lone_low_surrogate(br#"["\udc4d!"]"#, "[\"\u{fffd}!\"]")]
    #[case::surrogate_before_another(br#"["\ud83d\u0041"]"#, "[\"\u{fffd}\\u0041\"]")]
    #[case::swapped_surrogates(br#"["\udc4d\ud83d"]"#, "[\"\u{fffd}\u{fffd}\"]")]
    #[case::surrogate_pair(br#"["\ud83d\udc4d",NaN]"#, r#"["\ud83d\udc4d",null]"#)]
    #[case::cut_off_escape(br#"["\ud8"]"#, "[\"\u{fffd}ud8\"]")]
    #[case::sign_in_an_escape(br#"["\u+041"]"#, "[\"\u{fffd}u+041\"]")]
    #[case::unknown_escape(br#"["\x41\"\\\/\n"]"#, "[\"\u{fffd}x41\\\"\\\\\\/\\n\"]")]
    #[case::escape_before_more_bytes(b"[\"\\\xc3\xa9\"]", "[\"\u{fffd}é\"]")]
    #[case::control_characters(b"[\"a\nb\0c\"]", r#"["a b c"]"#)]
    #[case::no_utf8(b"[\"caf\xe9\", 1]", "[\"caf\u{fffd}\",1]")]
    #[case::number_out_of_range(br#"{"a": 1e400, "b": -1E+999}"#, r#"{"a":null,"b":null}"#)]
    #[case::other_words(br"[None,01,1.,-,truest,true]", "[null,null,null,null,null,true]")]
    #[case::commas_before_the_end(br#"[{"a":1,},[2,],]"#, r#"[{"a":1},[2]]"#)]
    #[case::missing_colon(br#"[{"a" 1},{"b":2}]"#, r#"[null,{"b":2}]"#)]
    #[case::missing_comma(br#"[{"a":1 "b":2},3]"#, "[null,3]")]
    #[case::missing_value(br#"[{"a":},{"a":,"b":1},[,],3]"#, "[null,null,null,3]")]
    #[case::missing_key(br"[{1:2},{:2},{,},3]", "[null,null,null,3]")]
    #[case::key_alone(br#"[{"a"},3]"#, "[null,3]")]
    #[case::colon_in_an_array(br#"[["a":1],3]"#, "[null,3]")]
    #[case::brackets_in_a_text(br#"["]}\"[",x]"#, r#"["]}\"[",null]"#)]
    fn broken_values_cost_no_other(#[case] body: &[u8], #[case] expected: &str) {
        assert!(serde_json::from_slice::<Value>(body).is_err());
        let repaired = repaired(body).unwrap();
        assert_eq!(repaired, expected);
        serde_json::from_str::<Value>(&repaired).unwrap();
    }

    #[rstest]
    #[case(b"")]
    #[case(b" ")]
    #[case(b"[")]
    #[case(b"[}")]
    #[case(b"]")]
    #[case(b"[1]]")]
    #[case(b"{}{}")]
    #[case(b"[],")]
    #[case(b"\"a")]
    #[case(b"[\"a\\\"]")]
    #[case(b"{\"a\":\"b}")]
    #[case(b"\xff\xfe{\0}\0")]
    #[case(b"{\0}\0")]
    #[case(b"\xff")]
    #[case(b"{1}")]
    fn broken_outermost_values_are_not_repaired(#[case] body: &[u8]) {
        assert_eq!(repaired(body), None);
    }

    #[rstest]
    #[case("[", "]")]
    #[case("{\"a\":", "}")]
    fn deep_nesting_costs_no_other(#[case] open: &str, #[case] close: &str) {
        let deep = [&open.repeat(1_000_000), "1", &close.repeat(1_000_000)].concat();
        let body = format!("[1,{deep},\"}}\",2]");
        let repaired: Value = serde_json::from_str(&repaired(body.as_bytes()).unwrap()).unwrap();
        let array = repaired.as_array().unwrap();
        assert_eq!(
            (&array[0], &array[3], array.len()),
            (&1.into(), &2.into(), 4)
        );
    }

    proptest! {
        #[test]
        fn every_result_is_json(body in r#"[\[\[{}\],:"\\ua0d81e. x\n\t-]{0,40}"#) {
            let before = serde_json::from_str::<Value>(&body).ok();
            let repaired = repaired(body.as_bytes());
            let after = repaired.map(|it| serde_json::from_str::<Value>(&it).unwrap());
            prop_assert!(before.is_none() || before == after);
        }

        #[test]
        fn bytes_never_panic(body in any::<Vec<u8>>()) {
            if let Some(repaired) = repaired(&body) {
                prop_assert!(repaired.len() <= 4 * body.len());
            }
        }
    }
}
