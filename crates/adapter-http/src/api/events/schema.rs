//! The form of events for the OpenAPI document. A test compares it with real events.
#![expect(dead_code, reason = "describes what the core writes")]

use utoipa::ToSchema;

/// An event and its envelope.
#[derive(ToSchema)]
#[schema(as = CloudEvent)]
pub(crate) struct CloudEventSchema {
    /// The version of the envelope.
    #[schema(example = "1.0")]
    specversion: String,
    /// The id of the event, the same for every repetition.
    #[schema(example = "evt_4b0c0301be13f9d2ea214ab5b0910b19")]
    id: String,
    /// The channel, as a path: `/channels/202105102694809992`.
    #[schema(example = "/channels/202105102694809992")]
    source: String,
    /// What happened, such as `message.delivered`.
    #[schema(example = "message.delivered")]
    r#type: String,
    /// The integrator's message id.
    #[schema(example = "SM0123456789abcdef0123456789abcdef")]
    subject: String,
    /// When the report arrived.
    time: String,
    /// The media type of `data`.
    #[schema(example = "application/json")]
    datacontenttype: String,
    /// The schema of `data`.
    #[schema(example = "urn:receiptd:message-event:1")]
    dataschema: String,
    /// The message after the event.
    data: MessageDataSchema,
}

/// The state of a message after an event.
#[derive(ToSchema)]
#[schema(as = MessageData)]
pub(crate) struct MessageDataSchema {
    /// The channel it was sent through.
    #[schema(example = "202105102694809992")]
    channel_id: String,
    /// The integrator's id.
    #[schema(example = "SM0123456789abcdef0123456789abcdef")]
    message_sid: String,
    /// The number of the change of the message, from 1. A later event of the message has a greater
    /// one, or the same if it follows from the same report.
    revision: i64,
    /// The status of the message.
    status: String,
    /// The status before; `null` if this is the first one known.
    #[schema(example = "sent")]
    previous_status: Option<String>,
    /// Whether it has been reported both as arrived and as failed.
    contradicted: bool,
    /// The recipient.
    #[schema(example = "whatsapp:+***0001")]
    to: String,
    /// The sender; `null` if the report has none.
    #[schema(example = "whatsapp:+***9999")]
    from: Option<String>,
    /// Where the report comes from: `callback`, or `reconciled` if it did not arrive and was read
    /// from the integrator's records.
    #[schema(example = "callback")]
    provenance: String,
    /// Whether both addresses, and the phone numbers in the error's text, are masked.
    masked: bool,
    /// The error of its first failure report with an error code.
    error: Option<ErrorDataSchema>,
    /// When each status was first reported, from the lowest to the highest.
    timeline: Vec<StepDataSchema>,
}

/// An error and its explanation.
#[derive(ToSchema)]
#[schema(as = ErrorData)]
pub(crate) struct ErrorDataSchema {
    /// The integrator's code.
    code: String,
    /// The integrator's text, empty if it sent none; phone numbers in it are masked like the
    /// addresses.
    text: String,
    /// When the failure was reported.
    reported_at: String,
    /// A short description; `null` if the channel was removed.
    title: Option<String>,
    /// What happened and what to do about it.
    explanation: Option<String>,
    /// Who has to act: the sender, the recipient, or another party.
    #[schema(example = "sender")]
    actor: Option<String>,
    /// Whether sending the same message again can help.
    #[schema(example = "permanent")]
    permanence: Option<String>,
}

/// A step in the timeline of a message.
#[derive(ToSchema)]
#[schema(as = StepData)]
pub(crate) struct StepDataSchema {
    /// The status.
    status: String,
    /// When it was first reported.
    first_reported_at: String,
}
