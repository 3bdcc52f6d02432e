//! Rows as tables, JSON and CSV.

mod csv;
mod escape;
mod fields;
mod json;
mod rows;
mod table;

pub(super) use escape::escape;
pub(super) use rows::RowWriter;
