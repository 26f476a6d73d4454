//! `status`: shows the service's health and the pending records of the spool, for people or as
//! JSON.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use super::args::Options;
use super::config::config;
use super::exit::{Exit, Failure, print};
use super::flush::{directories, folders, records};
use crate::claude_code::logged_errors;
use crate::spool::FolderInfo;
use crate::text::one_line;
use crate::transport::is_same_service;
use crate::{Config, HookAgent};

pub(super) fn status(options: &Options) -> Result<Exit, Failure> {
    let config = config(options)?;
    let service = config.service.as_str().to_owned();
    let dirs: Vec<PathBuf> = directories(&config).cloned().collect();
    let folders = folders(&config)?;
    let health = health(config, options.wait.max(Duration::from_secs(2)))?;
    if !options.json {
        let mut lines = vec![about_service(&service, &health)];
        lines.extend(dirs.iter().map(|dir| format!("spool    {}", dir.display())));
        lines.extend(folders.iter().flat_map(|folder| about(folder, &service)));
        if folders
            .iter()
            .all(|folder| folder.pending == 0 && folder.error.is_none())
        {
            lines.push("         nothing waits".to_owned());
        }
        return Ok(print(&format!("{}\n", lines.join("\n"))));
    }
    let spools: Vec<Value> = dirs
        .iter()
        .map(|dir| {
            let own = folders
                .iter()
                .filter(|folder| !folder.shared && folder.path.starts_with(dir));
            json!({"dir": dir, "folders": own.map(as_json).collect::<Vec<_>>()})
        })
        .collect();
    let shared: Vec<Value> = folders
        .iter()
        .filter(|folder| folder.shared)
        .map(as_json)
        .collect();
    let shown = json!({"service": service, "health": health, "spools": spools, "shared": shared});
    Ok(print(&format!("{shown:#}\n")))
}

fn health(config: Config, wait: Duration) -> Result<Value, Failure> {
    match HookAgent::new(config).test_connection()?.wait(wait) {
        Ok(answer) => Ok(answer.parse::<Value>()?),
        Err(error) => Ok(json!({"error": error.to_string(), "code": error.code()})),
    }
}

fn as_json(folder: &FolderInfo) -> Value {
    let FolderInfo {
        path,
        name,
        service,
        shared,
        owned,
        pending,
        rejected,
        lost,
        error,
        ..
    } = folder;
    let mut shown = json!({
        "path": path, "service": service, "owned": owned, "pending": pending, "rejected": rejected,
        "lastRejection": folder.last_rejection, "lost": lost, "lastLoss": folder.last_loss,
        "shortened": folder.shortened, "lastShortened": folder.last_shortened, "error": error,
    });
    if *shared {
        shown["troubles"] = logged_errors(path).into();
    } else {
        shown["producer"] = name.as_str().into();
    }
    shown
}

fn about_service(service: &str, health: &Value) -> String {
    let shown = match (health["status"].as_str(), health["error"].as_str()) {
        (Some(status), _) => {
            let version = health["version"]
                .as_str()
                .map_or_else(String::new, |version| format!(", version {version}"));
            format!("{status}{version}")
        }
        (None, Some(error)) => error.to_owned(),
        (None, None) => "it is not a flight recorder: check the URL".to_owned(),
    };
    format!("service  {service}: {}", one_line(&shown))
}

/// Returns the lines about one folder; none if there is nothing to report.
fn about(folder: &FolderInfo, service: &str) -> Vec<String> {
    let FolderInfo {
        path,
        pending,
        rejected,
        owned,
        ..
    } = folder;
    let mut lines = Vec::new();
    if let Some(error) = &folder.error {
        lines.push(format!("failed to read `{}`: {error}", path.display()));
    }
    if *pending > 0 {
        let whose = match &folder.service {
            known if is_same_service(known, service) => String::new(),
            known if known.is_empty() => " for an unknown service".to_owned(),
            known => format!(" for {known}"),
        };
        let who = if *owned {
            ", a running process delivers them"
        } else {
            ""
        };
        lines.push(format!(
            "{}{whose} to be delivered in `{}`{who}",
            records(*pending),
            path.display()
        ));
    }
    if *rejected > 0 {
        let why = folder
            .last_rejection
            .as_deref()
            .unwrap_or("the reason is unknown");
        let kept = path.join("rejected/events.jsonl");
        lines.push(format!(
            "{} rejected, the last: {why} (`{}`)",
            records(*rejected),
            kept.display()
        ));
    }
    if folder.lost > 0 {
        let why = folder
            .last_loss
            .as_deref()
            .unwrap_or("the reason is unknown");
        let kept = path.join("lost/events.jsonl");
        lines.push(format!(
            "{} lost, the last: {why} (`{}`)",
            records(folder.lost),
            kept.display()
        ));
    }
    if folder.shortened > 0 {
        let last = folder
            .last_shortened
            .as_deref()
            .unwrap_or("the reason is unknown");
        let kept = path.join("shortened/events.jsonl");
        let values = if folder.shortened == 1 {
            "value"
        } else {
            "values"
        };
        lines.push(format!(
            "{} {values} recorded as an excerpt, the last: {last} (`{}`)",
            folder.shortened,
            kept.display()
        ));
    }
    let errors = if folder.shared {
        logged_errors(path)
    } else {
        0
    };
    if errors > 0 {
        let noted = path.join("trouble.log");
        lines.push(format!("{errors} errors of hooks (`{}`)", noted.display()));
    }
    lines
        .into_iter()
        .map(|line| format!("         {}", one_line(&line)))
        .collect()
}
