//! Single requests to the operator's listener.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::ADMIN_TOKEN;

const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Returns the status and body of a GET from the operator's listener.
pub fn get(address: SocketAddr, path: &str) -> Result<(u16, String)> {
    exchange(address, &format!("GET {path}"), "")
}

/// Returns the status and body of a POST of JSON to the operator's listener.
pub fn post(address: SocketAddr, path: &str, body: &str) -> Result<(u16, String)> {
    exchange(address, &format!("POST {path}"), body)
}

/// Signs in to the console, and returns the cookie of the session.
pub fn sign_in(address: SocketAddr) -> Result<String> {
    let body = format!("token={ADMIN_TOKEN}");
    let head = "POST /console/sign-in";
    let lines = "Content-Type: application/x-www-form-urlencoded\r\nSec-Fetch-Site: same-origin";
    let (_, head, _) = send(address, head, lines, &body)?;
    let cookie = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("set-cookie"))
        .and_then(|(_, value)| value.trim().split(';').next());
    Ok(cookie.context("signing in sets no cookie")?.to_owned())
}

/// Returns the status and the text of a page of the console.
pub fn page(address: SocketAddr, path: &str, cookie: &str) -> Result<(u16, String)> {
    let lines = format!("Cookie: {cookie}");
    let (status, _, body) = send(address, &format!("GET {path}"), &lines, "")?;
    Ok((status, body))
}

fn exchange(address: SocketAddr, line: &str, body: &str) -> Result<(u16, String)> {
    let lines = format!("Authorization: Bearer {ADMIN_TOKEN}\r\nContent-Type: application/json");
    let (status, _, body) = send(address, line, &lines, body)?;
    Ok((status, body))
}

/// Sends a request with these lines in its head. Returns status, head and body of the response.
fn send(address: SocketAddr, line: &str, lines: &str, body: &str) -> Result<(u16, String, String)> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2))?;
    stream.set_read_timeout(Some(READ_TIMEOUT))?;
    let length = body.len();
    let request = format!(
        "{line} HTTP/1.1\r\nHost: {address}\r\n{lines}\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes())?;
    let mut response = String::new();
    stream.read_to_string(&mut response)?;
    let (head, body) = response
        .split_once("\r\n\r\n")
        .context("a response has no end of its head")?;
    let status = head.get(9..12).and_then(|digits| digits.parse().ok());
    let status = status.context("a response has no status")?;
    Ok((status, head.to_owned(), body.to_owned()))
}

/// Returns the value of a metric without labels; zero if it does not exist.
pub fn metric(text: &str, name: &str) -> f64 {
    let mut values = text
        .lines()
        .filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    values
        .next()
        .and_then(|value| value.trim().parse().ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::metric;

    #[test]
    fn metric_is_found_by_its_whole_name() {
        let text = "# TYPE a histogram\na_sum_b 1.0\na_sum 2.5\na_count 3\n";
        assert!((metric(text, "a_sum") - 2.5).abs() < f64::EPSILON);
        assert!(metric(text, "c").abs() < f64::EPSILON);
    }
}
