//! The shared rows, with SQLite's types of columns.

pub(crate) type MessageRow = sql_rows::messages::MessageRow<i64, String>;
pub(crate) type ReportRow = sql_rows::messages::ReportRow<i64>;
pub(crate) type LogRow = sql_rows::log::LogRow<i64, String>;
pub(crate) type RemainingRow = sql_rows::log::RemainingRow<i64>;
pub(crate) type ChannelRow = sql_rows::channels::ChannelRow<i64, String>;
pub(crate) type CallsRow = sql_rows::channels::CallsRow<i64>;
pub(crate) type RejectionRow = sql_rows::rejections::RejectionRow<i64>;
pub(crate) type SubscriptionRow = sql_rows::subscriptions::SubscriptionRow<i64, String>;
pub(crate) type DeliveryRow = sql_rows::deliveries::DeliveryRow<i64>;
pub(crate) type PendingRow = sql_rows::deliveries::PendingRow<i64>;
pub(crate) type EndedRow = sql_rows::deliveries::EndedRow<i64>;
pub(crate) type ErasureRow = sql_rows::erasures::ErasureRow<i64>;
pub(crate) type ErasureScan = sql_rows::erasures::ErasureScan<i64>;
pub(crate) type RetentionRunRow = sql_rows::retention::RetentionRunRow<i64>;
pub(crate) type ChangeRow = sql_rows::statistics::ChangeRow<i64>;
pub(crate) type MessageReportsRow = sql_rows::statistics::MessageReportsRow<i64, String>;
pub(crate) type CountsRow = sql_rows::statistics::CountsRow<i64>;
pub(crate) type ArrivalRow = sql_rows::statistics::ArrivalRow<i64>;
pub(crate) type TokenRow = sql_rows::access::TokenRow<i64>;
pub(crate) type SessionRow = sql_rows::access::SessionRow<i64>;
pub(crate) type AuditRow = sql_rows::access::AuditRow<i64>;
pub(crate) type SavedViewRow = sql_rows::saved_views::SavedViewRow<i64>;
pub(crate) type TroubleRow = sql_rows::troubles::TroubleRow<i64>;
pub(crate) type JournalRow = sql_rows::troubles::JournalRow<i64>;
pub(crate) type OperatorEventRow = sql_rows::troubles::OperatorEventRow<i64>;
pub(crate) type PositionRow = sql_rows::troubles::PositionRow<i64>;
