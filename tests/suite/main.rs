//! One binary, a file for each behaviour.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::pedantic,
    missing_docs
)]

#[cfg(feature = "server")]
mod access_matrix;
#[cfg(feature = "server")]
mod access_parked;
#[cfg(feature = "server")]
mod access_support;
#[cfg(feature = "server")]
mod certificates;
#[cfg(feature = "server")]
mod cli_access;
#[cfg(feature = "server")]
mod cli_append;
#[cfg(feature = "server")]
mod cli_as_of;
#[cfg(feature = "server")]
mod cli_attested;
#[cfg(feature = "server")]
mod cli_backup;
#[cfg(feature = "server")]
mod cli_bench;
#[cfg(feature = "server")]
mod cli_commands;
#[cfg(feature = "server")]
mod cli_count;
#[cfg(feature = "server")]
mod cli_coverage;
#[cfg(feature = "server")]
mod cli_diff;
#[cfg(feature = "server")]
mod cli_doctor;
#[cfg(feature = "server")]
mod cli_erase;
#[cfg(feature = "server")]
mod cli_explain;
#[cfg(feature = "server")]
mod cli_export;
#[cfg(feature = "server")]
mod cli_export_rows;
#[cfg(feature = "server")]
mod cli_identity;
#[cfg(feature = "server")]
mod cli_jwt_url;
#[cfg(feature = "server")]
mod cli_keys;
#[cfg(feature = "server")]
mod cli_known;
#[cfg(feature = "server")]
mod cli_linked;
#[cfg(feature = "server")]
mod cli_links;
#[cfg(feature = "server")]
mod cli_monitor;
#[cfg(feature = "server")]
mod cli_newcomer;
#[cfg(feature = "server")]
mod cli_passphrase;
#[cfg(feature = "server")]
mod cli_policy;
#[cfg(feature = "server")]
mod cli_queries;
#[cfg(feature = "server")]
mod cli_query;
#[cfg(feature = "server")]
mod cli_redaction;
#[cfg(feature = "server")]
mod cli_self_audit;
#[cfg(feature = "server")]
mod cli_show_fields;
#[cfg(feature = "server")]
mod cli_shown;
#[cfg(feature = "server")]
mod cli_signing;
#[cfg(feature = "server")]
mod cli_support;
#[cfg(feature = "server")]
mod cli_trace;
#[cfg(feature = "server")]
mod collect_git;
#[cfg(feature = "server")]
mod configuration_doc;
#[cfg(feature = "server")]
mod count_lies;
mod entry_canonical;
mod entry_json;
mod entry_link;
mod entry_names;
mod entry_ssh;
mod entry_support;
mod format_doc;
#[cfg(feature = "server")]
mod fuzz_decoders;
#[cfg(feature = "server")]
mod git_support;
mod golden_case;
#[cfg(feature = "server")]
mod golden_erasure;
mod golden_events;
mod golden_formats;
mod golden_index;
#[cfg(feature = "server")]
mod golden_redaction;
#[cfg(feature = "server")]
mod golden_stores;
#[cfg(feature = "server")]
mod hostile_clients;
#[cfg(feature = "server")]
mod hostile_support;
mod index_filter;
mod index_segment;
mod index_terms;
mod index_version;
mod inquiry_coverage;
mod inquiry_history;
mod inquiry_lineage;
mod inquiry_links;
mod inquiry_renames;
mod inquiry_support;
#[cfg(feature = "server")]
mod investigation;
#[cfg(feature = "server")]
mod jwt_support;
#[cfg(feature = "server")]
mod ledger_backup;
#[cfg(feature = "server")]
mod ledger_child;
#[cfg(feature = "server")]
mod ledger_crash;
#[cfg(feature = "server")]
mod ledger_encrypted_key;
#[cfg(feature = "server")]
mod ledger_erase;
#[cfg(feature = "server")]
mod ledger_erase_audit;
#[cfg(feature = "server")]
mod ledger_erase_rules;
#[cfg(feature = "server")]
mod ledger_faults;
#[cfg(feature = "server")]
mod ledger_flips;
#[cfg(feature = "server")]
mod ledger_index;
#[cfg(feature = "server")]
mod ledger_input;
#[cfg(feature = "server")]
mod ledger_model;
#[cfg(feature = "server")]
mod ledger_ready;
#[cfg(feature = "server")]
mod ledger_starts;
#[cfg(feature = "server")]
mod ledger_support;
#[cfg(feature = "server")]
mod lying_support;
mod merkle_edge;
mod merkle_exhaustive;
mod merkle_hash;
mod merkle_range;
mod merkle_refusals;
mod merkle_support;
mod merkle_tile;
mod merkle_vectors;
mod note_checkpoint;
mod note_golden;
mod note_keys;
mod note_policy;
mod note_proof;
mod note_rotation;
mod note_signed;
#[cfg(feature = "server")]
mod provider_support;
#[cfg(feature = "server")]
mod query_battery;
#[cfg(feature = "server")]
mod query_lies;
#[cfg(feature = "server")]
mod redaction;
mod scripts_prepare;
#[cfg(feature = "server")]
mod service_access;
#[cfg(feature = "server")]
mod service_admin;
#[cfg(feature = "server")]
mod service_append;
#[cfg(feature = "server")]
mod service_count;
#[cfg(feature = "server")]
mod service_inquiry;
#[cfg(feature = "server")]
mod service_jwt;
#[cfg(feature = "server")]
mod service_jwt_url;
#[cfg(feature = "server")]
mod service_limits;
#[cfg(feature = "server")]
mod service_query;
#[cfg(feature = "server")]
mod service_read;
#[cfg(feature = "server")]
mod service_reads;
#[cfg(feature = "server")]
mod service_refusals;
#[cfg(feature = "server")]
mod service_reload;
#[cfg(feature = "server")]
mod service_revoked;
#[cfg(feature = "server")]
mod service_support;
#[cfg(feature = "server")]
mod service_tls;
#[cfg(feature = "server")]
mod service_watch;
#[cfg(feature = "server")]
mod store_conformance;
#[cfg(feature = "server")]
mod store_files;
#[cfg(feature = "server")]
mod store_memory;
#[cfg(feature = "server")]
mod store_objects;
#[cfg(feature = "server")]
mod store_rocks;
mod tidy;
mod verify_audit;
mod verify_evidence;
mod verify_holds;
mod verify_receipt;
#[cfg(feature = "server")]
mod verify_rederive;
mod verify_support;
