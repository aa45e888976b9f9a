//! Checks that several text types share.

/// Returns whether `text` has 1 to `max` characters, is not blank and contains no control
/// characters.
pub(crate) fn is_plain_line(text: &str, max: usize) -> bool {
    !text.trim().is_empty()
        && text.chars().nth(max).is_none()
        && !text.chars().any(char::is_control)
}

/// Returns whether `text` is 1 to `max` printable ASCII characters without spaces.
pub(crate) fn is_ascii_token(text: &str, max: usize) -> bool {
    (1..=max).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Returns whether `text` is 1 to `max` characters that need no escaping in a path.
pub(crate) fn is_path_segment(text: &str, max: usize) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    (1..=max).contains(&text.len())
        && text.bytes().all(plain)
        // `.` and `..` are removed when a URL is normalised.
        && text.bytes().any(|byte| byte != b'.')
}

/// Returns the first `max` characters of `text` without NUL.
pub(crate) fn clipped(text: &str, max: usize) -> String {
    if text.len() <= max && !text.contains('\0') {
        return text.to_owned();
    }
    text.chars()
        .filter(|character| *character != '\0')
        .take(max)
        .collect()
}
