//! Kinds of options that are lists of names.

use super::kinds::Kind;

/// Comma-separated host names, `*` for any, or `off` for none.
#[derive(Debug)]
pub struct Hosts;

impl Kind for Hosts {
    type Value = Vec<String>;
    fn parse(&self, text: &str) -> Result<Vec<String>, String> {
        if text == "off" {
            return Ok(Vec::new());
        }
        let hosts: Vec<String> = text.split(',').map(|host| host.trim().to_owned()).collect();
        if hosts == ["*"] || hosts.iter().all(|host| is_host(host)) {
            return Ok(hosts);
        }
        Err(format!("must be {}", self.accepts()))
    }
    fn show(&self, value: &Vec<String>) -> String {
        if value.is_empty() {
            "off".into()
        } else {
            value.join(",")
        }
    }
    fn accepts(&self) -> String {
        "host names such as recorder.lan separated by commas, * for any, or off".into()
    }
}

/// Whether the text is a host name, with or without a port.
fn is_host(text: &str) -> bool {
    let plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']');
    !text.is_empty() && text.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_without_a_scheme() {
        assert_eq!(Hosts.parse("a.lan, b:9000").unwrap(), ["a.lan", "b:9000"]);
        assert_eq!(Hosts.parse("*").unwrap(), ["*"]);
        assert!(Hosts.parse("off").unwrap().is_empty());
        for bad in ["", "http://a", "a,", "a,*", "a/b", "*.lan"] {
            assert!(Hosts.parse(bad).is_err(), "{bad}");
        }
        assert_eq!(Hosts.show(&Hosts.parse("a,b").unwrap()), "a,b");
    }
}
