//! Compiles `proto/` with protox (no protoc needed), three times over:
//!
//! - `messages`: every message, typed, for the pure core and for clients;
//! - `client` and `wire` (feature `server`): the stub, and the server's side, on which an event stays the bytes that were
//!   received, so that what is sealed is what was sent;
//! - `schema.rs`: tables for the checker of canonical encodings, limits included.

mod schema;

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

use prost_types::field_descriptor_proto::Type;
use prost_types::{DescriptorProto, FileDescriptorSet};

const FILES: [&str; 5] = [
    "graven/v1/admin.proto",
    "graven/v1/event.proto",
    "graven/v1/genesis.proto",
    "graven/v1/ledger.proto",
    "graven/v1/query.proto",
];

/// The files with services: the server has its own copy of their messages.
const SERVICES: [&str; 3] = [
    "graven/v1/admin.proto",
    "graven/v1/ledger.proto",
    "graven/v1/query.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    println!("cargo::rerun-if-changed=build");
    let out = PathBuf::from(env::var("OUT_DIR")?);

    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler
        .include_source_info(true)
        .include_imports(true)
        .open_files(FILES)?;
    let descriptors = compiler.file_descriptor_set();

    fs::write(out.join("schema.rs"), schema::generate(&descriptors)?)?;
    let messages = out.join("messages");
    fs::create_dir_all(&messages)?;
    prost_build::Config::new()
        // Most bytes of an answer: shared with the entry or the message that they come from, not copied.
        .bytes([".graven.v1.DisclosedPart"])
        .out_dir(&messages)
        .compile_fds(descriptors.clone())?;

    if env::var_os("CARGO_FEATURE_SERVER").is_some() {
        compiler.include_source_info(false);
        fs::write(
            out.join("descriptors.bin"),
            compiler.encode_file_descriptor_set(),
        )?;
        generate_client(descriptors.clone(), &out.join("client"))?;
        generate_server(descriptors, &out.join("wire"))?;
    }
    Ok(())
}

fn generate_client(descriptors: FileDescriptorSet, out: &PathBuf) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(out)?;
    tonic_prost_build::configure()
        .build_server(false)
        .extern_path(".graven.v1", "crate::entry::v1")
        .out_dir(out)
        .compile_fds(descriptors)?;
    Ok(())
}

fn generate_server(
    mut descriptors: FileDescriptorSet,
    out: &PathBuf,
) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(out)?;
    descriptors
        .file
        .retain(|file| SERVICES.contains(&file.name()));
    let mut builder = tonic_prost_build::configure()
        .build_client(false)
        .bytes(".")
        .out_dir(out);
    for file in &mut descriptors.file {
        file.dependency.clear();
        for message in &mut file.message_type {
            if !keep_events_as_bytes(message) {
                let name = message.name();
                builder = builder.extern_path(
                    format!(".graven.v1.{name}"),
                    format!("crate::entry::v1::{name}"),
                );
            }
        }
    }
    builder.compile_fds(descriptors)?;
    Ok(())
}

/// A message field and a bytes field look the same on the wire. Returns whether the message holds events.
fn keep_events_as_bytes(message: &mut DescriptorProto) -> bool {
    let events = message
        .field
        .iter_mut()
        .filter(|field| field.type_name() == ".graven.v1.Event");
    let mut found = false;
    for field in events {
        field.set_type(Type::Bytes);
        field.type_name = None;
        found = true;
    }
    found
}
