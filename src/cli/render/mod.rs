//! Rows as tables, JSON and CSV.

mod acts;
mod coverage;
pub(super) mod csv;
mod differences;
mod entries;
mod escape;
mod fields;
mod groups;
mod history;
mod json;
mod lineage;
mod lines;
mod reasons;
mod records;
mod rows;
mod sparkline;
mod state;
mod table;
mod tree;

pub(super) use coverage::write_coverage;
pub(super) use differences::write_differences;
pub(super) use escape::escape;
pub(super) use fields::redaction_text;
pub(super) use groups::{Group, Moment, write_count, write_groups};
pub(super) use history::write_history;
pub(super) use json::safe as json_safe;
pub(super) use lineage::Traced;
pub(super) use reasons::write_reasons;
pub(super) use records::{Machine, Record, explain_marks, write_records};
pub(super) use rows::RowWriter;
pub(super) use sparkline::sparkline;
pub(super) use state::write_state;
pub(super) use table::{RECORDED_NOTE, to_second, write as write_table};
