//! Asking for part of a long list, by key and never by offset.

use crate::{ChannelId, DeliveryStatus, ErrorCode, MessageKey, Recipient, Timestamp};

/// How many items one page holds: 1 to 500.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageSize(u16);

/// The number is no page size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a page has 1 to 500 items")]
pub struct InvalidPageSize;

impl PageSize {
    /// The largest one.
    pub const MAX: Self = Self(500);

    /// Takes a number of items.
    pub fn new(items: u16) -> Result<Self, InvalidPageSize> {
        if (1..=Self::MAX.0).contains(&items) {
            Ok(Self(items))
        } else {
            Err(InvalidPageSize)
        }
    }

    /// The number of items.
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

/// One page, and where the next one starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<Item, Cursor> {
    /// The items, in the list's order.
    pub items: Vec<Item>,
    /// Where to go on; `None` on the last page.
    pub next: Option<Cursor>,
}

impl<Item, Cursor> Page<Item, Cursor> {
    /// Makes a page of `size` from items of which one more was asked for, so
    /// that it is known whether another page follows.
    pub fn cut(mut items: Vec<Item>, size: PageSize, cursor: impl Fn(&Item) -> Cursor) -> Self {
        let size = usize::from(size.get());
        let more = items.len() > size;
        items.truncate(size);
        let next = items.last().filter(|_| more).map(cursor);
        Self { items, next }
    }
}

/// Which messages to list; a field that is `None` lets all through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageFilter {
    /// Those of one channel.
    pub channel: Option<ChannelId>,
    /// Those that stand at one status.
    pub status: Option<DeliveryStatus>,
    /// Those that are, or are not, contradicted.
    pub contradicted: Option<bool>,
    /// Those to one recipient, however the address is written.
    pub recipient: Option<Recipient>,
    /// Those with one error.
    pub error_code: Option<ErrorCode>,
    /// Those first heard of at this time or later.
    pub since: Option<Timestamp>,
    /// Those first heard of before this time.
    pub until: Option<Timestamp>,
}

/// The last message of a page. Messages are listed from the one first heard of
/// last; those of the same microsecond by key, descending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageCursor {
    /// When it was first heard of.
    pub first_reported_at: Timestamp,
    /// Its key.
    pub key: MessageKey,
}
