//! The life of a trouble.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use crate::Timestamp;

use super::{Snooze, TroubleKey};

/// The time between two notices about a trouble that lasts: a day.
pub const REMINDER_INTERVAL_MICROS: i64 = 86_400 * 1_000_000;

/// How many lengths of a window apart two windows may start to count as two in a row: an evaluation
/// may be late.
const MAX_WINDOW_GAP: i64 = 3;

/// The id of a trouble. Later ones are greater, as far as the clocks of servers agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TroubleId(pub Uuid);

impl fmt::Display for TroubleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for TroubleId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        text.parse().map(Self)
    }
}

/// What a rule found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Since when it has been so.
    pub since: Timestamp,
    /// What was seen, as a sentence without times.
    pub seen: String,
}

/// The time whose evidence a rule judges. The running interval of statistics is never part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Window {
    /// Its start.
    pub start: Timestamp,
    /// Its length.
    pub length_micros: i64,
}

impl Window {
    /// Returns the window of a length that `moment` lies in. Windows of a length begin at its
    /// multiples since 1970.
    #[must_use]
    pub fn around(moment: Timestamp, length_micros: i64) -> Self {
        let length_micros = length_micros.max(1);
        let past = moment.unix_micros().rem_euclid(length_micros);
        Self {
            start: moment.plus_micros(-past),
            length_micros,
        }
    }

    /// Returns whether it comes later than a window that starts at `start`.
    fn is_after(&self, start: Timestamp) -> bool {
        self.start > start
    }

    /// Returns whether it follows a window that starts at `start`.
    fn follows(&self, start: Timestamp) -> bool {
        let gap = self.start.unix_micros().saturating_sub(start.unix_micros());
        gap <= self.length_micros.saturating_mul(MAX_WINDOW_GAP)
    }
}

/// The state of a trouble.
///
/// ```text
///            found          found twice in a row
///   (none) ────────▶ Pending ────────▶ Open ◀───────┐ found
///     ▲                 │                │          │
///     └─────────────────┘                └──▶ Clearing ────────▶ Resolved
///           not found                  not found    not found twice in a row
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TroubleState {
    /// Found in one window.
    Pending,
    /// Confirmed.
    Open {
        /// When it was confirmed.
        opened_at: Timestamp,
    },
    /// Open, and not found in the last window.
    Clearing {
        /// When it was confirmed.
        opened_at: Timestamp,
    },
    /// Over.
    Resolved {
        /// When it was confirmed.
        opened_at: Timestamp,
        /// When its end was confirmed.
        resolved_at: Timestamp,
    },
}

impl TroubleState {
    /// Returns the name used in tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Open { .. } => "open",
            Self::Clearing { .. } => "clearing",
            Self::Resolved { .. } => "resolved",
        }
    }

    /// Returns when it was confirmed.
    #[must_use]
    pub const fn opened_at(self) -> Option<Timestamp> {
        match self {
            Self::Pending => None,
            Self::Open { opened_at }
            | Self::Clearing { opened_at }
            | Self::Resolved { opened_at, .. } => Some(opened_at),
        }
    }

    /// Returns when its end was confirmed.
    #[must_use]
    pub const fn resolved_at(self) -> Option<Timestamp> {
        match self {
            Self::Pending | Self::Open { .. } | Self::Clearing { .. } => None,
            Self::Resolved { resolved_at, .. } => Some(resolved_at),
        }
    }

    /// Returns whether an operator sees it as open.
    #[must_use]
    pub const fn is_open(self) -> bool {
        match self {
            Self::Open { .. } | Self::Clearing { .. } => true,
            Self::Pending | Self::Resolved { .. } => false,
        }
    }

    /// Creates a state from the results of [`as_str`](Self::as_str),
    /// [`opened_at`](Self::opened_at) and [`resolved_at`](Self::resolved_at). `None` if they do not
    /// belong together.
    #[must_use]
    pub fn from_parts(
        word: &str,
        opened_at: Option<Timestamp>,
        resolved_at: Option<Timestamp>,
    ) -> Option<Self> {
        match (word, opened_at, resolved_at) {
            ("pending", None, None) => Some(Self::Pending),
            ("open", Some(opened_at), None) => Some(Self::Open { opened_at }),
            ("clearing", Some(opened_at), None) => Some(Self::Clearing { opened_at }),
            ("resolved", Some(opened_at), Some(resolved_at)) => Some(Self::Resolved {
                opened_at,
                resolved_at,
            }),
            _ => None,
        }
    }
}

/// The notices that were sent about a trouble.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Notices {
    /// How many say that it is open.
    pub count: u32,
    /// When the last of them was sent.
    pub last_at: Option<Timestamp>,
}

/// A notice that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// It is open.
    Opened,
    /// It is still open.
    Reminder,
    /// It is over.
    Resolved,
}

/// A condition that needs an operator, or needed one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Its id.
    pub id: TroubleId,
    /// What it is.
    pub key: TroubleKey,
    /// What was found last.
    pub finding: Finding,
    /// Its state.
    pub state: TroubleState,
    /// The start of the last window that was judged.
    pub judged: Timestamp,
    /// What was sent about it.
    pub notices: Notices,
    /// Until when nothing is sent about it.
    pub snooze: Option<Snooze>,
}

impl Trouble {
    /// Begins a trouble that was found in a window. `snooze` is that of an earlier trouble of the
    /// same key, so that one that comes and goes stays snoozed.
    #[must_use]
    pub const fn begin(
        id: TroubleId,
        key: TroubleKey,
        finding: Finding,
        window: Window,
        snooze: Option<Snooze>,
    ) -> Self {
        Self {
            id,
            key,
            finding,
            state: TroubleState::Pending,
            judged: window.start,
            notices: Notices {
                count: 0,
                last_at: None,
            },
            snooze,
        }
    }

    /// Takes what was found in a window; `None`: nothing. Returns the trouble after it, or `None`
    /// if it was not confirmed and is forgotten. A window that is not later than the last judged
    /// one, and one after the end of the trouble, change nothing.
    #[must_use]
    pub fn judge(
        mut self,
        window: Window,
        finding: Option<Finding>,
        now: Timestamp,
    ) -> Option<Self> {
        if !window.is_after(self.judged) {
            return Some(self);
        }
        let in_a_row = window.follows(self.judged);
        self.state = match (self.state, &finding) {
            (resolved @ TroubleState::Resolved { .. }, _) => {
                self.state = resolved;
                return Some(self);
            }
            (TroubleState::Pending, None) => return None,
            (TroubleState::Pending, Some(_)) if in_a_row => TroubleState::Open { opened_at: now },
            (TroubleState::Pending, Some(_)) => TroubleState::Pending,
            (TroubleState::Open { opened_at } | TroubleState::Clearing { opened_at }, Some(_)) => {
                TroubleState::Open { opened_at }
            }
            (TroubleState::Clearing { opened_at }, None) if in_a_row => TroubleState::Resolved {
                opened_at,
                resolved_at: now,
            },
            (TroubleState::Open { opened_at } | TroubleState::Clearing { opened_at }, None) => {
                TroubleState::Clearing { opened_at }
            }
        };
        self.judged = window.start;
        self.finding = finding.unwrap_or(self.finding);
        Some(self)
    }

    /// Returns whether it is snoozed at `now`.
    #[must_use]
    pub fn is_snoozed(&self, now: Timestamp) -> bool {
        let snooze = self.snooze.as_ref();
        snooze.is_some_and(|snooze| snooze.lasts_at(now))
    }

    /// Returns the notice that is due. While it is snoozed, or in quiet hours, none is due that
    /// says that it is open. The end is reported at once, if its beginning was.
    #[must_use]
    pub fn due_notice(&self, now: Timestamp, is_quiet: bool) -> Option<Notice> {
        match self.state {
            TroubleState::Pending | TroubleState::Clearing { .. } => None,
            TroubleState::Resolved { .. } => (self.notices.count > 0).then_some(Notice::Resolved),
            TroubleState::Open { .. } if is_quiet || self.is_snoozed(now) => None,
            TroubleState::Open { .. } => match self.notices.last_at {
                None => Some(Notice::Opened),
                Some(last) if last.plus_micros(REMINDER_INTERVAL_MICROS) <= now => {
                    Some(Notice::Reminder)
                }
                Some(_) => None,
            },
        }
    }

    /// Records that a notice is sent.
    pub const fn noticed(&mut self, notice: Notice, now: Timestamp) {
        match notice {
            Notice::Opened | Notice::Reminder => {
                self.notices.count = self.notices.count.saturating_add(1);
                self.notices.last_at = Some(now);
            }
            Notice::Resolved => {}
        }
    }
}
