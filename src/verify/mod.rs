//! Receipts, evidence and whole-ledger audits.
