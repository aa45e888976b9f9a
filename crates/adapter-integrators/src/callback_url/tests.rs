//! The variants of the callback URL that a signature may cover.

use rstest::rstest;

use super::*;

const PATH: &str = "/social/on/whatsapp/twilio/report/1";

fn public(url: &str) -> PublicUrl {
    PublicUrl::parse(url).unwrap()
}

fn presented() -> UserAndPassword {
    UserAndPassword::new("user:p@ss".to_owned()).unwrap()
}

#[rstest]
#[case::base("https://example.com", "https://example.com/r")]
#[case::base_with_a_slash("https://example.com/", "https://example.com/r")]
#[case::base_with_a_path("https://example.com/a/b/", "https://example.com/a/b/r")]
#[case::base_with_a_port("https://example.com:8443", "https://example.com:8443/r")]
#[case::base_with_credentials("https://u:p@example.com", "https://example.com/r")]
#[case::at_signs_in_the_password("https://u:p@p@example.com", "https://example.com/r")]
#[case::base_with_a_query("https://example.com?a=1", "https://example.com/r?a=1")]
#[case::base_with_a_fragment("https://example.com#rc=2", "https://example.com/r")]
#[case::question_mark_in_the_fragment("https://example.com#a?b", "https://example.com/r")]
#[case::at_sign_in_the_path("https://example.com/a@b", "https://example.com/a@b/r")]
#[case::callback_url("https://example.com/a/r", "https://example.com/a/r")]
#[case::callback_url_with_all(
    "http://u:p@example.com:80/r?x=/#rc=5",
    "http://example.com:80/r?x=/"
)]
#[case::letters_stay("https://EXAMPLE.com/A/../b%2f", "https://EXAMPLE.com/A/../b%2f/r")]
#[case::ipv6("https://[2001:db8::1]", "https://[2001:db8::1]/r")]
#[case::ipv6_with_a_port("https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443/r")]
fn url_ends_with_the_report_path(#[case] configured: &str, #[case] expected: &str) {
    let configured = public(configured);
    assert_eq!(
        CallbackUrl::new(&configured, "/r").without_credentials(),
        expected
    );
}

#[rstest]
#[case::https_without_a_port(
    "https://example.com",
    &["https://example.com/r", "https://example.com:443/r"]
)]
#[case::http_without_a_port(
    "http://example.com",
    &["http://example.com/r", "http://example.com:80/r"]
)]
#[case::default_port_written_out(
    "https://example.com:443",
    &["https://example.com:443/r", "https://example.com/r"]
)]
#[case::another_port(
    "https://example.com:8443",
    &["https://example.com:8443/r", "https://example.com/r", "https://example.com:443/r"]
)]
#[case::configured_credentials_as_they_stand(
    "https://u:p%40@example.com",
    &[
        "https://example.com/r",
        "https://example.com:443/r",
        "https://u:p%40@example.com/r",
        "https://u:p%40@example.com:443/r",
    ]
)]
fn every_variant_of_a_url_occurs_once(#[case] configured: &str, #[case] expected: &[&str]) {
    let configured = public(configured);
    assert_eq!(CallbackUrl::new(&configured, "/r").variants(None), expected);
}

#[test]
fn presented_credentials_occur_raw_and_escaped() {
    let configured = public("https://example.com");
    let url = CallbackUrl::new(&configured, PATH);
    let variants = url.variants(Some(&presented()));
    assert_eq!(variants.len(), 6);
    for user_info in ["", "user:p@ss@", "user:p%40ss@"] {
        for port in ["", ":443"] {
            let variant = format!("https://{user_info}example.com{port}{PATH}");
            assert!(variants.contains(&variant), "{variant}");
        }
    }
}

#[test]
fn presented_credentials_do_not_replace_configured_ones() {
    let configured = public("https://u:p@example.com");
    let variants = CallbackUrl::new(&configured, PATH).variants(Some(&presented()));
    assert!(variants.iter().all(|variant| !variant.contains("user")));
}

#[rstest]
#[case::taken_from_the_request("https://example.com", Some("a=1"), "?a=1")]
#[case::none_anywhere("https://example.com", None, "")]
#[case::configured_one_wins("https://example.com?b=2", Some("a=1"), "?b=2")]
fn query_of_the_request_is_used_unless_one_is_configured(
    #[case] configured: &str,
    #[case] query: Option<&str>,
    #[case] expected: &str,
) {
    let configured = public(configured);
    let url = CallbackUrl::new(&configured, PATH).with_query_of_request(query);
    assert_eq!(
        url.without_credentials(),
        format!("https://example.com{PATH}{expected}")
    );
}

#[rstest]
#[case(
    "https://example.com",
    "https://example.com/social/on/whatsapp/twilio/events/1"
)]
#[case(
    "https://example.com/proxy/social/on/whatsapp/twilio/report/1?a=1",
    "https://example.com/proxy/social/on/whatsapp/twilio/events/1?a=1"
)]
#[case(
    "https://example.com/social/on/whatsapp/twilio/report/2",
    "https://example.com/social/on/whatsapp/twilio/report/2/social/on/whatsapp/twilio/events/1"
)]
fn whole_url_of_another_endpoint_is_one_of_the_same_channel(
    #[case] public_url: &str,
    #[case] expected: &str,
) {
    let public_url = PublicUrl::parse(public_url).unwrap();
    let url = CallbackUrl::new(&public_url, "/social/on/whatsapp/twilio/events/1");
    assert_eq!(url.without_credentials(), expected);
}
