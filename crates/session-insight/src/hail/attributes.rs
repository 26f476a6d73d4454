//! The attributes of the events that we write.

/// The value of `source.schema_version` in the events that we write.
pub(super) const SCHEMA: &str = "session-records-1";
pub(super) const SCHEMA_VERSION: &str = "source.schema_version";
pub(super) const RAW_TYPE: &str = "source.raw_type";
pub(super) const TOOL_KIND: &str = "semantic.tool_kind";
/// The log of the record, where its type does not say it.
pub(super) const LOG: &str = "record.log";
/// The fields that no other part of the event holds.
pub(super) const FIELDS: &str = "record.fields";
/// The names of fields that other parts of the event hold and the record does not have.
pub(super) const ABSENT: &str = "record.absent";
/// The field that the text block holds, where it is not the usual one.
pub(super) const TEXT_FIELD: &str = "record.text";
/// Fields that a store sets: they say where a record is, not what it says.
pub(super) const OF_STORE: [&str; 3] = ["seq", "$offset", "$crc"];
