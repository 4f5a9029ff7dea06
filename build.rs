//! Compiles the protos with protox, so that no `protoc` has to be installed.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message as _;

const PROTOS: [&str; 6] = [
    "highwater/v1/types.proto",
    "highwater/v1/limit.proto",
    "highwater/v1/quota.proto",
    "highwater/v1/ingest.proto",
    "highwater/v1/admin.proto",
    "highwater/v1/request.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::Compiler::new(["proto"])?
        .include_source_info(true)
        .include_imports(true)
        .open_files(PROTOS)?
        .file_descriptor_set();
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("highwater.v1.descriptors"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        .codec_path("crate::proto::Codec")
        .extern_path(".highwater.v1.History", "crate::proto::History")
        .extern_path(".highwater.v1.EventBatch", "crate::proto::EventBatch")
        .bytes(".highwater.v1.ColumnBatch")
        .bytes(".highwater.v1.SnapshotChunk")
        .compile_fds(descriptors)?;
    Ok(())
}
