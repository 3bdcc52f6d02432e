//! Foreign sources as events: one module per source, each a mapping without knowledge of the ledger's inside.

pub mod git;
