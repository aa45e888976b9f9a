//! The pages, one folder or file for each section.

pub(crate) mod about;
pub(crate) mod access;
pub(crate) mod channels;
pub(crate) mod erasures;
pub(crate) mod live;
pub(crate) mod messages;
pub(crate) mod overview;
pub(crate) mod preferences;
pub(crate) mod rejections;
pub(crate) mod subscriptions;
pub(crate) mod time_form;
pub(crate) mod trouble;
pub(crate) mod views;
