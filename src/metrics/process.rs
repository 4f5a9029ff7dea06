//! What is written of the process: the names are those that every Prometheus client library uses. Linux tells it in
//! `/proc`; elsewhere nothing is written.

use crate::metrics::page::{Page, Written};

/// Writes it, as far as the system tells.
///
/// # Errors
/// When the encoder does not take it.
#[cfg(target_os = "linux")]
pub fn write(page: &mut Page) -> Written {
    use procfs::process::{LimitValue, Process};

    use crate::metrics::name::Name;

    let Ok(process) = Process::myself() else { return Ok(()) };
    if let Ok(stat) = process.stat() {
        let ticks_a_second = procfs::ticks_per_second() as f64;
        page.sum(Name::ProcessCpu, [(Vec::new(), (stat.utime + stat.stime) as f64 / ticks_a_second)])?;
        page.gauge(Name::ProcessMemory, [(Vec::new(), stat.rss * procfs::page_size())])?;
        page.gauge(Name::ProcessVirtualMemory, [(Vec::new(), stat.vsize)])?;
        page.gauge(Name::ProcessThreads, [(Vec::new(), stat.num_threads.unsigned_abs())])?;
        if let Ok(booted) = procfs::boot_time_secs() {
            let started = booted as f64 + stat.starttime as f64 / ticks_a_second;
            page.measure(Name::ProcessStart, [(Vec::new(), started)])?;
        }
    }
    if let Ok(open) = process.fd_count() {
        page.gauge(Name::ProcessOpenFiles, [(Vec::new(), open as u64)])?;
    }
    if let Ok(limits) = process.limits()
        && let LimitValue::Value(most) = limits.max_open_files.soft_limit
    {
        page.gauge(Name::ProcessMaxFiles, [(Vec::new(), most)])?;
    }
    Ok(())
}

/// Writes nothing.
///
/// # Errors
/// None.
#[cfg(not(target_os = "linux"))]
pub fn write(_page: &mut Page) -> Written {
    Ok(())
}
