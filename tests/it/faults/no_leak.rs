//! no_leak
