//! Values that may be personal data are not kept.

use proptest::prelude::*;
use rstest::rstest;

use super::*;

fn kept(body: &str) -> Vec<(String, String)> {
    masked(body.as_bytes())
        .iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[rstest]
#[case::sid(
    "MessageSid=SM00112233445566778899aabbccddeeff",
    "MessageSid",
    "SM00112233445566778899aabbccddeeff"
)]
#[case::status("MessageStatus=delivered", "MessageStatus", "delivered")]
#[case::code("ErrorCode=63016", "ErrorCode", "63016")]
#[case::version("ApiVersion=2010-04-01", "ApiVersion", "2010-04-01")]
#[case::address("To=whatsapp:%2B15550100001", "To", "whatsapp:+***0001")]
#[case::number_as_a_sid("MessageSid=15550100001", "MessageSid", "*** (11 bytes)")]
#[case::number_as_a_status("MessageStatus=%2B15550100001", "MessageStatus", "*** (12 bytes)")]
#[case::number_as_a_code("ErrorCode=15550100001", "ErrorCode", "*** (11 bytes)")]
#[case::no_address("From=a%00b", "From", "*** (3 bytes)")]
#[case::text("Body=Dear+Ms+Example", "Body", "*** (15 bytes)")]
#[case::words_of_the_channel("ChannelStatusMessage=x", "ChannelStatusMessage", "*** (1 byte)")]
#[case::blank("MessageSid=", "MessageSid", "")]
#[case::broken("MessageStatus=%FF", "MessageStatus", "*** (1 byte)")]
#[case::a_name_with_a_number("MediaUrl10=x", "MediaUrl10", "*** (1 byte)")]
#[case::a_number_as_a_name("15550100001", "***", "")]
#[case::json(r#"{"To":"whatsapp:+15550100001"}"#, "***", "")]
fn only_values_without_personal_data_are_kept(
    #[case] body: &str,
    #[case] name: &str,
    #[case] value: &str,
) {
    assert_eq!(kept(body), [(name.to_owned(), value.to_owned())]);
}

proptest! {
    #[test]
    fn no_phone_number_is_kept(
        name in "To|From|Body|MessageSid|SmsStatus|ErrorCode|ApiVersion|[A-Za-z]{1,9}",
        prefix in "(whatsapp:)?(%2B|\\+)?",
        number in "1555010[0-9]{4}",
    ) {
        for body in [format!("{name}={prefix}{number}"), format!("{prefix}{number}=1"), number.clone()] {
            let shown = format!("{:?}", kept(&body));
            prop_assert!(!shown.contains(&number));
        }
    }

    #[test]
    fn no_body_panics(body: Vec<u8>) {
        let _ = masked(&body);
    }
}
