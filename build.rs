//! Compiles the protos with protox, so that no `protoc` has to be installed, and looks after the page that is put into the
//! binary.

use std::{
    env,
    error::Error,
    fs::{self, File},
    path::PathBuf,
    time::SystemTime,
};

use prost::Message as _;

const PROTOS: [&str; 11] = [
    "highwater/v1/types.proto",
    "highwater/v1/limit.proto",
    "highwater/v1/quota.proto",
    "highwater/v1/route.proto",
    "highwater/v1/ingest.proto",
    "highwater/v1/admin.proto",
    "highwater/v1/forecast.proto",
    "highwater/v1/demo.proto",
    "highwater/v1/request.proto",
    "highwater/v1/alert.proto",
    "highwater/v1/chain.proto",
];

/// What `npm run build` makes of the page.
const PAGE: &str = "web/dist";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    println!("cargo:rerun-if-changed={PAGE}");
    if fs::create_dir_all(PAGE).is_ok() && fs::read_dir(PAGE)?.next().is_none() {
        // Cargo watches a folder that is there, and builds each time for one that is not. An empty one is as old as can
        // be, or it would itself be a change.
        File::open(PAGE)?.set_modified(SystemTime::UNIX_EPOCH)?;
    }
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
