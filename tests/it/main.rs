//! Integration tests, in one binary.

#![allow(clippy::unwrap_used)]

mod access;
mod access_admin;
mod access_matrix;
mod access_program;
mod alerts;
mod annotations;
mod bad_input;
mod browser;
mod demo;
mod doors;
mod faults;
mod histories;
mod hostile;
mod imports;
mod ingest;
mod ingest_refused;
mod ingest_unary;
mod insights;
mod learning;
mod ledger;
mod live_ends;
mod livekit;
mod livekit_schedules;
mod metrics;
mod offline;
mod oracle;
mod queries;
mod redis_access;
mod redis_doubt;
mod redis_leftovers;
mod redis_server;
mod redis_trouble;
mod release;
mod requests;
mod serving;
mod sign_in;
mod soak;
mod store_contract;
mod store_faults;
mod store_forget;
mod store_migrate;
mod store_redis;
mod tls;
mod web;
