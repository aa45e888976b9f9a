//! Valid spellings of the `Authorization` header, and malformed ones.

use base64::engine::general_purpose::STANDARD as PADDED;
use proptest::prelude::*;
use rstest::rstest;

use super::*;

fn shown(header: &str) -> Option<(String, String)> {
    match parse(Some(header.as_bytes())) {
        Authorization::Basic(pair) => Some((pair.user().to_owned(), pair.password().to_owned())),
        Authorization::Absent | Authorization::Malformed => None,
    }
}

#[rstest]
#[case::as_in_the_standard("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "Aladdin", "open sesame")]
#[case::as_in_the_vendors_sample("basic dXNlcjpwYXNzd29yZA==", "user", "password")]
#[case::scheme_in_capitals("BASIC dXNlcjpwYXNzd29yZA==", "user", "password")]
#[case::many_spaces("Basic    dXNlcjpwYXNzd29yZA==", "user", "password")]
#[case::spaces_around("  Basic dXNlcjpwYXNzd29yZA==  ", "user", "password")]
#[case::padding_left_out("Basic dXNlcjpwYXNzd29yZA", "user", "password")]
#[case::only_the_first_colon_counts("Basic dXNlcjphOmI6Yzo=", "user", "a:b:c:")]
#[case::not_ascii("Basic dXPDqXI6cMOkw593w7ZyZA==", "usér", "päßwörd")]
#[case::no_user("Basic OnBhc3N3b3Jk", "", "password")]
#[case::no_password("Basic dXNlcjo=", "user", "")]
fn user_and_password_are_parsed(#[case] header: &str, #[case] user: &str, #[case] password: &str) {
    assert_eq!(shown(header), Some((user.to_owned(), password.to_owned())));
}

#[rstest]
#[case::none(None)]
#[case::empty(Some(""))]
#[case::blank(Some(" \t "))]
fn missing_header_is_not_malformed(#[case] header: Option<&str>) {
    assert_eq!(parse(header.map(str::as_bytes)), Authorization::Absent);
}

#[rstest]
#[case::another_scheme(b"Bearer dXNlcjpwYXNzd29yZA==")]
#[case::a_longer_scheme(b"Basics dXNlcjpwYXNzd29yZA==")]
#[case::no_scheme(b"dXNlcjpwYXNzd29yZA==")]
#[case::scheme_alone(b"Basic")]
#[case::scheme_glued_to_the_pair(b"Basic:dXNlcjpwYXNzd29yZA==")]
#[case::no_base64(b"Basic user:password")]
#[case::url_alphabet(b"Basic _-8_Oj8_")]
#[case::no_colon(b"Basic dXNlcg==")]
#[case::no_utf8(b"Basic dXPpcjpw")]
#[case::bytes(b"Basic \xff\xfe")]
#[case::two_tokens(b"Basic dXNlcjpw dXNlcjpw")]
fn anything_else_is_malformed(#[case] header: &[u8]) {
    assert_eq!(parse(Some(header)), Authorization::Malformed);
}

#[test]
fn debug_shows_no_credentials() {
    let shown = format!("{:?}", parse(Some(b"Basic dXNlcjpwYXNzd29yZA==")));
    assert_eq!(shown, "Basic(UserAndPassword(***))");
}

proptest! {
    #[test]
    fn every_user_and_password_is_parsed_back(
        scheme in "[bB][aA][sS][iI][cC] {1,4}",
        user in "[^:]{0,40}",
        password in ".{0,120}",
        padded: bool,
    ) {
        let token = PADDED.encode(format!("{user}:{password}"));
        let token = if padded { token.as_str() } else { token.trim_end_matches('=') };
        prop_assert_eq!(shown(&format!("{scheme}{token}")), Some((user, password)));
    }

    #[test]
    fn no_header_panics(header in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(Some(&header));
        let _ = parse(Some(&[b"Basic ".as_slice(), &header].concat()));
    }
}
