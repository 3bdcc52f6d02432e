//! Rows as tables, JSON and CSV.

pub(super) mod csv;
mod escape;
mod fields;
mod json;
mod rows;
mod table;

pub(super) use escape::escape;
pub(super) use json::safe as json_safe;
pub(super) use rows::RowWriter;
