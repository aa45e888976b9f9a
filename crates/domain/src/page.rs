//! Pages of long lists, by key and not by offset.

use std::num::NonZeroU32;

use crate::{ChannelId, ErrorCode, Message, MessageKey, Recipient, StatusSet, Timestamp};

/// How many items one page holds: 1 to 500.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageSize(u16);

/// The number is not a page size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a page has 1 to 500 items")]
pub struct InvalidPageSize;

impl PageSize {
    /// The minimum.
    pub const ONE: Self = Self(1);

    /// The maximum.
    pub const MAX: Self = Self(500);

    /// Checks a number of items.
    pub fn new(items: u16) -> Result<Self, InvalidPageSize> {
        if (1..=Self::MAX.0).contains(&items) {
            Ok(Self(items))
        } else {
            Err(InvalidPageSize)
        }
    }

    /// Returns the number of items.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl Default for PageSize {
    fn default() -> Self {
        Self(50)
    }
}

/// How many items are examined for one page at most, so that a filter that few items pass need not
/// read all of them. A page that ends there has fewer items than its size, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScanLimit(pub NonZeroU32);

impl ScanLimit {
    /// Without a limit in practice.
    pub const MAX: Self = Self(NonZeroU32::MAX);

    /// Returns the number of items.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

/// One page and the cursor of the next one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<Item, Cursor> {
    /// The items in order.
    pub items: Vec<Item>,
    /// The cursor of the next page; `None` on the last page.
    pub next: Option<Cursor>,
}

impl<Item, Cursor> Page<Item, Cursor> {
    /// Returns a page of `size` items from a list with one item more if there is another page.
    pub fn cut(mut items: Vec<Item>, size: PageSize, cursor: impl Fn(&Item) -> Cursor) -> Self {
        let size = usize::from(size.get());
        let more = items.len() > size;
        items.truncate(size);
        let next = items.last().filter(|_| more).map(cursor);
        Self { items, next }
    }

    /// Continues after the last item examined, if the page is not full.
    #[must_use]
    pub fn or_after(self, scan_end: Option<Cursor>) -> Self {
        let next = self.next.or(scan_end);
        Self { next, ..self }
    }
}

impl Page<Message, MessageCursor> {
    /// Returns a page of messages, as [`cut`](Self::cut) does.
    pub fn of_messages(messages: Vec<Message>, size: PageSize) -> Self {
        Self::cut(messages, size, MessageCursor::of)
    }
}

/// Which messages to list; `None` matches all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageFilter {
    /// The channel.
    pub channel: Option<ChannelId>,
    /// The current status is one of these.
    pub status: Option<StatusSet>,
    /// Whether it is contradicted.
    pub contradicted: Option<bool>,
    /// The recipient, in any form.
    pub recipient: Option<Recipient>,
    /// The error code.
    pub error_code: Option<ErrorCode>,
    /// First reported at this time or later.
    pub since: Option<Timestamp>,
    /// First reported before this time.
    pub until: Option<Timestamp>,
}

impl MessageFilter {
    /// Returns whether it selects by nothing but what the list of problems has, and selects only
    /// messages that are in it: those that failed, contradicted ones included.
    #[must_use]
    pub fn selects_problems(&self) -> bool {
        self.recipient.is_none()
            && (self.error_code.is_some()
                || self.contradicted == Some(true)
                || self.status.is_some_and(StatusSet::is_failures))
    }
}

/// The last message of a page. Messages are listed by the time of their first report, descending;
/// those of the same microsecond by key, descending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageCursor {
    /// When it was first reported.
    pub first_reported_at: Timestamp,
    /// Its key.
    pub key: MessageKey,
}

impl MessageCursor {
    /// Returns the cursor of the page after a message.
    #[must_use]
    pub fn of(message: &Message) -> Self {
        Self {
            first_reported_at: message.parties.first_reported_at,
            key: message.key.clone(),
        }
    }
}
