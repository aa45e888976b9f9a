//! One connection: a request, its answer, the next request.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use traffic::form::{self, Subject};
use traffic::history::ORDERLY;
use traffic::request::{RequestHead, Template, authorization};
use traffic::stream::{Sid, StreamReport};

use super::{Loaded, MEASURED, Mode, STOP, Shared};
use crate::{PASSWORD, PATH, USER, WRONG_PASSWORD};

/// How long an answer may take before the measurement is given up.
const PATIENCE: Duration = Duration::from_secs(15);

/// Sends reports until the load is stopped.
pub(super) async fn run(shared: Arc<Shared>, place: usize) -> Result<Loaded> {
    let load = &shared.load;
    let stream = TcpStream::connect(load.address).await;
    let stream = stream.with_context(|| format!("no connection to {}", load.address))?;
    stream.set_nodelay(true)?;
    let mut stream = Stream {
        stream,
        buffer: [0; 4096],
    };
    let challenged = || Templates::new(load.address, None);
    let with_password = |password| Templates::new(load.address, Some(password));
    // The request that is answered 401, and the request that is answered 204.
    let (mut refused, mut accepted) = match load.mode {
        Mode::AtOnce => (None, Some(with_password(PASSWORD))),
        Mode::TwoSteps => (Some(challenged()), Some(with_password(PASSWORD))),
        Mode::ChallengeOnly => (Some(challenged()), None),
        Mode::WrongPassword => (Some(with_password(WRONG_PASSWORD)), None),
    };
    let mut loaded = Loaded::default();
    let mut own = 0;
    loop {
        let began = match due(&shared, place, own) {
            Some(due) => {
                tokio::time::sleep_until(due.into()).await;
                due
            }
            None => Instant::now(),
        };
        own += 1;
        if shared.phase.load(Ordering::Relaxed) == STOP {
            return Ok(loaded);
        }
        let number = shared.next.fetch_add(1, Ordering::Relaxed);
        let report = load.stream.report(number);
        let mut good = 0;
        if let Some(templates) = &mut refused {
            let request = templates.request(report);
            good += u64::from(stream.exchange(request, 401, &mut loaded).await?);
        }
        if let Some(templates) = &mut accepted {
            let request = templates.request(report);
            let taken = u64::from(stream.exchange(request, 204, &mut loaded).await?);
            loaded.taken += taken;
            good += taken;
        }
        if shared.phase.load(Ordering::Relaxed) == MEASURED {
            loaded.requests += good;
            loaded.latencies.add(began.elapsed());
            if load.keeps_answers {
                loaded.answers.push((report, Instant::now()));
            }
        }
    }
}

/// When a connection's `own`th report is due, if there is a rate.
fn due(shared: &Shared, place: usize, own: u64) -> Option<Instant> {
    let rate = u64::from(shared.load.rate?.max(1));
    let connections = u64::try_from(shared.load.connections).unwrap_or(u64::MAX);
    let number = own * connections + u64::try_from(place).unwrap_or_default();
    Some(shared.began + Duration::from_micros(number * 1_000_000 / rate))
}

/// The requests of one connection, one for every step of [`ORDERLY`].
struct Templates([Template; ORDERLY.len()]);

impl Templates {
    /// Requests with this password, or without credentials.
    fn new(host: SocketAddr, password: Option<&str>) -> Self {
        let caller = RequestHead {
            host,
            path: PATH.to_owned(),
            authorization: password.map(|password| authorization(USER, password)),
        };
        let sid = Sid::ZERO.to_string();
        Self(ORDERLY.map(|step| Template::new(&caller, &form::body(Subject::new(&sid), step))))
    }

    fn request(&mut self, report: StreamReport) -> &[u8] {
        let template = self.0.get_mut(report.position);
        template.map_or(&[], |template| template.fill(report.sid))
    }
}

struct Stream {
    stream: TcpStream,
    buffer: [u8; 4096],
}

impl Stream {
    /// Sends a request and reads its answer; whether it was the expected one.
    async fn exchange(
        &mut self,
        request: &[u8],
        expected: u16,
        loaded: &mut Loaded,
    ) -> Result<bool> {
        let status = tokio::time::timeout(PATIENCE, self.answer(request)).await;
        let status = status.context("no answer within 15 s")??;
        if status != expected {
            *loaded.unexpected.entry(status).or_default() += 1;
        }
        Ok(status == expected)
    }

    async fn answer(&mut self, request: &[u8]) -> Result<u16> {
        self.stream.write_all(request).await?;
        let mut filled = 0;
        loop {
            let free = self
                .buffer
                .get_mut(filled..)
                .filter(|free| !free.is_empty());
            let free = free.context("an answer is longer than 4 KiB")?;
            match self.stream.read(free).await? {
                0 => bail!("the connection was closed"),
                read => filled += read,
            }
            if let Some(status) = complete_answer(self.buffer.get(..filled).unwrap_or_default())? {
                return Ok(status);
            }
        }
    }
}

/// The status of an answer, once it is there with its whole body.
fn complete_answer(bytes: &[u8]) -> Result<Option<u16>> {
    let Some(head_end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = bytes.get(..head_end).unwrap_or_default();
    let head = std::str::from_utf8(head).context("an answer is no HTTP")?;
    let status = head.get(9..12).and_then(|digits| digits.parse().ok());
    let status = status.context("an answer has no status")?;
    let mut body = 0;
    for line in head.split("\r\n").skip(1) {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        if name.eq_ignore_ascii_case("content-length") {
            body = value
                .trim()
                .parse()
                .context("an answer has a strange length")?;
        }
    }
    let length = head_end + 4 + body;
    Ok((bytes.len() >= length).then_some(status))
}

#[cfg(test)]
mod tests {
    use super::complete_answer;

    #[test]
    fn an_answer_is_complete_with_its_whole_body() {
        let no_content = b"HTTP/1.1 204 No Content\r\ndate: x\r\n\r\n";
        assert_eq!(complete_answer(no_content).unwrap(), Some(204));
        assert_eq!(complete_answer(&no_content[..20]).unwrap(), None);
        let with_body = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 5\r\n\r\nabcde";
        assert_eq!(complete_answer(with_body).unwrap(), Some(401));
        assert_eq!(
            complete_answer(&with_body[..with_body.len() - 1]).unwrap(),
            None
        );
        assert!(complete_answer(b"nonsense nonsense\r\n\r\n").is_err());
    }
}
