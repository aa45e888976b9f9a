//! The search box: one text that is an id, a number or a code.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use askama::Template;
use domain::{ErrorCode, MessageKey, MessageSid, Recipient};
use usecases::messages::show::ShowError;

use crate::console::Console;
use crate::error::PageError;
use crate::fields::{Fields, Form};
use crate::page::{self, Page, Section};
use crate::visit::Visit;

/// Fewer digits than these are a code and not a number.
const MIN_NUMBER_DIGITS: usize = 7;

/// What a text in the search box is.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    Message(MessageSid),
    Recipient(Recipient),
    Code(ErrorCode),
    /// None of these.
    Nothing,
}

impl Wanted {
    fn parse(text: &str) -> Self {
        let text = text.trim();
        let digits = text.chars().filter(char::is_ascii_digit).count();
        let is_code = text.bytes().all(|byte| byte.is_ascii_digit()) && digits < MIN_NUMBER_DIGITS;
        if is_code && let Ok(code) = ErrorCode::parse(text) {
            return Self::Code(code);
        }
        let looks_like_address = text.contains(':') || !text.contains(char::is_alphabetic);
        let recipient = Recipient::parse(text).ok();
        let is_user_id = || recipient.as_ref().is_some_and(|it| it.key().is_some());
        if (looks_like_address || is_user_id())
            && let Some(recipient) = recipient
        {
            return Self::Recipient(recipient);
        }
        MessageSid::parse(text).map_or(Self::Nothing, Self::Message)
    }
}

#[derive(Template)]
#[template(path = "messages/not_found.html")]
struct NotFoundPage {
    page: Page,
    /// The id that was looked for; `None` if the text was nothing to look for.
    sid: Option<String>,
}

/// Redirects to what the search box names. A number gets into the URL sealed only.
pub(crate) async fn search(
    console: Data<Console>,
    visit: Visit,
    form: Form,
) -> Result<HttpResponse, PageError> {
    let query = match Wanted::parse(form.0.text("q")) {
        Wanted::Recipient(recipient) => {
            let sealed = console.state.recipients.seal(&recipient);
            Fields::default()
                .with("to", Some(&sealed))
                .with("range", Some("all"))
        }
        Wanted::Code(code) => Fields::default().with("code", Some(code.as_str())),
        Wanted::Message(sid) => {
            return match find(&console, &sid).await? {
                Some(key) => Ok(page::redirect(&super::path(&key))),
                None => not_found(&visit, Some(sid.to_string())),
            };
        }
        Wanted::Nothing => return not_found(&visit, None),
    };
    Ok(page::redirect(&format!(
        "/console/messages{}",
        query.query()
    )))
}

/// Looks for a message on every channel: ids are unique only within one.
async fn find(console: &Console, sid: &MessageSid) -> Result<Option<MessageKey>, PageError> {
    for channel in console.channels().await? {
        let key = MessageKey {
            channel: channel.channel.id,
            sid: sid.clone(),
        };
        match console.run(console.state.show.run(&key)).await {
            Ok(_) => return Ok(Some(key)),
            Err(ShowError::NoSuchMessage(_) | ShowError::NoSuchChannel(_)) => {}
            Err(ShowError::Store(error)) => return Err(error.into()),
        }
    }
    Ok(None)
}

fn not_found(visit: &Visit, sid: Option<String>) -> Result<HttpResponse, PageError> {
    let template = NotFoundPage {
        page: visit.page("No match", Section::Messages),
        sid,
    };
    page::show_as(StatusCode::NOT_FOUND, &template)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_told_by_its_form() {
        let sid = "SM00000000000000000000000000000001";
        let message = |text: &str| Wanted::Message(MessageSid::parse(text).unwrap());
        assert_eq!(Wanted::parse(sid), message(sid));
        assert_eq!(Wanted::parse("my-own-id-7"), message("my-own-id-7"));
        assert_eq!(
            Wanted::parse(" 63016 "),
            Wanted::Code(ErrorCode::parse("63016").unwrap())
        );
        for number in [
            "+15550100001",
            "15550100001",
            "whatsapp:+15550100001",
            "+1 (555) 010-0001",
            "US.13491208655302741918",
            "whatsapp:US.13491208655302741918",
        ] {
            let recipient = Recipient::parse(number).unwrap();
            assert_eq!(
                Wanted::parse(number),
                Wanted::Recipient(recipient),
                "{number}"
            );
        }
        for nothing in ["", "two words", "ä"] {
            assert_eq!(Wanted::parse(nothing), Wanted::Nothing, "{nothing}");
        }
    }
}
