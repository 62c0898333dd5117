//! The accounts of this host that agents may run as, from /etc/passwd and /etc/group alone: a static binary that asks
//! the C library would load whatever modules nsswitch.conf names, built for another one.

use std::path::{Path, PathBuf};

use ops_wire::ErrorCode;

use crate::error::Fault;

/// An account, and the groups that it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
    /// `gid` is one of them.
    pub groups: Vec<u32>,
    pub home: PathBuf,
}

impl Account {
    /// The account to become; `None` for the empty name, which is the updater's own.
    pub fn other(name: &str) -> Result<Option<Self>, Fault> {
        if name.is_empty() { Ok(None) } else { Self::find(name).map(Some) }
    }

    fn find(name: &str) -> Result<Self, Fault> {
        let passwd = read(Path::new("/etc/passwd"))?;
        let group = read(Path::new("/etc/group"))?;
        Self::parse(name, &passwd, &group).ok_or_else(|| {
            let sentence =
                format!("no account {name:?} is in /etc/passwd; accounts from elsewhere are not looked for");
            Fault::new(ErrorCode::AccountMissing, sentence)
        })
    }

    fn parse(name: &str, passwd: &str, group: &str) -> Option<Self> {
        let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        let uid = fields.next()?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        let home = PathBuf::from(fields.nth(1)?);
        let mut groups: Vec<u32> = group.lines().filter_map(|line| group_with(line, name)).collect();
        groups.insert(0, gid);
        groups.dedup();
        Some(Self { name: name.to_owned(), uid, gid, groups, home })
    }
}

/// The group of this line, when `name` is a member.
fn group_with(line: &str, name: &str) -> Option<u32> {
    let mut fields = line.split(':').skip(2);
    let gid = fields.next()?.parse().ok()?;
    fields.next()?.split(',').any(|it| it == name).then_some(gid)
}

fn read(path: &Path) -> Result<String, Fault> {
    let bytes = std::fs::read(path).map_err(|error| Fault::io("read", path, &error))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str =
        "root:x:0:0:root:/root:/bin/bash\nbroken:x\nagent:x:120:65534:,,,:/var/lib/agent:/bin/false\n";
    const GROUP: &str = "root:x:0:\nadm:x:4:syslog,agent\nagents:x:7:agent2,agentx\ndocker:x:999:agent\n";

    #[test]
    fn an_account_has_its_own_group_and_those_that_name_it() {
        let account = Account::parse("agent", PASSWD, GROUP).unwrap();
        assert_eq!((account.uid, account.gid, account.groups), (120, 65534, vec![65534, 4, 999]));
        assert_eq!(account.home, Path::new("/var/lib/agent"));
    }

    #[test]
    fn what_is_not_there_or_broken_is_no_account() {
        for name in ["age", "broken", "", "agent:x"] {
            assert_eq!(Account::parse(name, PASSWD, GROUP), None, "{name}");
        }
    }
}
