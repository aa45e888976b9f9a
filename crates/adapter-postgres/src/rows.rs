//! The shared rows, with PostgreSQL's types of columns.

use time::OffsetDateTime;

pub(crate) type MessageRow = sql_rows::messages::MessageRow<OffsetDateTime, Vec<i64>>;
pub(crate) type PageRows = sql_rows::messages::PageRows<OffsetDateTime, Vec<i64>>;
pub(crate) type ReportRow = sql_rows::messages::ReportRow<OffsetDateTime>;
pub(crate) type LogRow = sql_rows::log::LogRow<OffsetDateTime, Vec<i64>>;
pub(crate) type RemainingRow = sql_rows::log::RemainingRow<OffsetDateTime>;
pub(crate) type ChannelRow = sql_rows::channels::ChannelRow<OffsetDateTime, Vec<String>>;
pub(crate) type CallsRow = sql_rows::channels::CallsRow<OffsetDateTime>;
pub(crate) type RejectionRow = sql_rows::rejections::RejectionRow<OffsetDateTime>;
pub(crate) type SubscriptionRow =
    sql_rows::subscriptions::SubscriptionRow<OffsetDateTime, Vec<String>>;
pub(crate) type DeliveryRow = sql_rows::deliveries::DeliveryRow<OffsetDateTime>;
pub(crate) type PendingRow = sql_rows::deliveries::PendingRow<OffsetDateTime>;
pub(crate) type EndedRow = sql_rows::deliveries::EndedRow<OffsetDateTime>;
pub(crate) type ErasureRow = sql_rows::erasures::ErasureRow<OffsetDateTime>;
pub(crate) type ErasureScan = sql_rows::erasures::ErasureScan<OffsetDateTime>;
pub(crate) type RetentionRunRow = sql_rows::retention::RetentionRunRow<OffsetDateTime>;
pub(crate) type ChangeRow = sql_rows::statistics::ChangeRow<OffsetDateTime>;
pub(crate) type MessageReportsRow =
    sql_rows::statistics::MessageReportsRow<OffsetDateTime, Vec<i64>>;
pub(crate) type CountsRow = sql_rows::statistics::CountsRow<OffsetDateTime>;
pub(crate) type DaysRow = sql_rows::statistics::DaysRow<OffsetDateTime>;
pub(crate) type ArrivalRow = sql_rows::statistics::ArrivalRow<OffsetDateTime>;
pub(crate) type TokenRow = sql_rows::access::TokenRow<OffsetDateTime>;
pub(crate) type SessionRow = sql_rows::access::SessionRow<OffsetDateTime>;
pub(crate) type AuditRow = sql_rows::access::AuditRow<OffsetDateTime>;
pub(crate) type SavedViewRow = sql_rows::saved_views::SavedViewRow<OffsetDateTime>;
pub(crate) type TroubleRow = sql_rows::troubles::TroubleRow<OffsetDateTime>;
pub(crate) type JournalRow = sql_rows::troubles::JournalRow<OffsetDateTime>;
pub(crate) type OperatorEventRow = sql_rows::troubles::OperatorEventRow<OffsetDateTime>;
pub(crate) type PositionRow = sql_rows::troubles::PositionRow<OffsetDateTime>;
pub(crate) type ReconciliationRow = sql_rows::reconciliations::ReconciliationRow<OffsetDateTime>;
pub(crate) type CallbackAlertRow = sql_rows::callback_alerts::CallbackAlertRow<OffsetDateTime>;
pub(crate) type CallbackAlertCountRow =
    sql_rows::callback_alerts::CallbackAlertCountRow<OffsetDateTime>;
pub(crate) type WaitingRow = sql_rows::forwarding::WaitingRow<OffsetDateTime>;
