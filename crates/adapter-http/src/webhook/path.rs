//! The report path: `/social/on/whatsapp/{integrator}/{word}/{channel}`.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// The prefix of all report paths.
const BASE: &str = "/social/on/whatsapp/";

/// The parts of a report path.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ReportPath<'a> {
    pub(crate) integrator: &'a str,
    pub(crate) word: &'a str,
    /// Still percent-encoded; see [`channel`].
    pub(crate) channel: &'a str,
}

/// Splits a path; `None` if it is not a report path.
pub(crate) fn parse(path: &str) -> Option<ReportPath<'_>> {
    let mut parts = path.strip_prefix(BASE)?.split('/');
    let found = ReportPath {
        integrator: parts.next()?,
        word: parts.next()?,
        channel: parts.next().filter(|channel| !channel.is_empty())?,
    };
    parts.next().is_none().then_some(found)
}

/// Decodes the channel id of a path. Invalid UTF-8 becomes a text that is not a channel id either.
pub(crate) fn channel(part: &str) -> Cow<'_, str> {
    percent_decode_str(part).decode_utf8_lossy()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn report_path_has_three_parts() {
        let found = parse("/social/on/whatsapp/twilio/report/202105102694809992").unwrap();
        assert_eq!(found.integrator, "twilio");
        assert_eq!(found.word, "report");
        assert_eq!(found.channel, "202105102694809992");
    }

    #[test]
    fn paths_with_more_or_fewer_parts_are_not_report_paths() {
        for path in [
            "/",
            "/social/on/whatsapp",
            "/social/on/whatsapp/twilio/report",
            "/social/on/whatsapp/twilio/report/",
            "/social/on/whatsapp/twilio/report/1/",
            "/social/on/whatsapp/twilio/report/1/2",
            "//social/on/whatsapp/twilio/report/1",
            "/Social/on/whatsapp/twilio/report/1",
        ] {
            assert_eq!(parse(path), None, "{path}");
        }
    }

    #[test]
    fn channel_is_decoded_after_the_path_is_split() {
        assert_eq!(channel("a%2Fb%31"), "a/b1");
        assert_eq!(channel("%FF"), "\u{fffd}");
        assert_eq!(channel("100%"), "100%");
    }
}
