//! What a route requires of the client. Pure; access is decided here and nowhere else.

use std::fmt;

use session_model::{SessionId, UserId};

use super::principal::Principal;
use super::scope::Scope;

/// What a route requires. Each row of the table of routes has one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rule {
    /// No requirement: the route shows nothing of any session.
    Open,
    /// The scope, for the session in the path. A session that the client may not access is answered
    /// as if it did not exist.
    Session(Scope),
    /// The scope; the handler makes sure that only sessions the client may access are shown or
    /// changed.
    Filtered(Scope),
    /// The scope and access to all sessions, because the route reports on all of them.
    Whole(Scope),
}

/// The decision about a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The request may proceed.
    Allowed,
    /// The client may not make this request. Reveals nothing about any session.
    Forbidden,
    /// The request is answered as if the session did not exist.
    Unknown,
}

impl Rule {
    /// Decides whether the request is allowed. `user` returns the owner of a session, if the
    /// session exists; it is called only if the decision depends on it.
    pub fn judge(
        self,
        who: &Principal,
        session: Option<&SessionId>,
        user: impl FnOnce(&SessionId) -> Option<UserId>,
    ) -> Verdict {
        match self {
            Self::Open => Verdict::Allowed,
            Self::Filtered(scope) => allowed_if(who.may(scope)),
            Self::Whole(scope) => allowed_if(who.may(scope) && who.session_scope.is_none()),
            Self::Session(scope) if !who.may(scope) => Verdict::Forbidden,
            Self::Session(_) => {
                let (Some(session_scope), Some(id)) = (&who.session_scope, session) else {
                    return Verdict::Allowed;
                };
                let reached = session_scope.names(id)
                    || user(id).is_some_and(|user| session_scope.has_user(&user));
                if reached {
                    Verdict::Allowed
                } else {
                    Verdict::Unknown
                }
            }
        }
    }
}

const fn allowed_if(allowed: bool) -> Verdict {
    if allowed {
        Verdict::Allowed
    } else {
        Verdict::Forbidden
    }
}

impl fmt::Display for Rule {
    /// Formats the rule for the list of routes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open => f.write_str("open"),
            Self::Session(scope) | Self::Filtered(scope) => f.write_str(scope.as_str()),
            Self::Whole(scope) => write!(f, "{} without limits", scope.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::scope::Scopes;
    use super::*;
    use session_model::SessionScope;
    use std::sync::Arc;

    fn who(scope: Scope, session_scope: Option<SessionScope>) -> Principal {
        let session_scope = session_scope.map(Arc::new);
        let proof = super::super::principal::Proof::UnixSocket;
        Principal {
            name: "x".into(),
            scopes: Scopes::of([scope]),
            session_scope,
            until: None,
            proof,
            used: None,
        }
    }

    #[test]
    fn a_session_out_of_reach_is_unknown_and_a_scope_that_lacks_is_forbidden_for_any_session() {
        let ann = UserId::parse("ann").unwrap();
        let mine = "mine";
        let other = "other";
        let id = |text: &str| SessionId::parse(text).unwrap();
        let session_scope = SessionScope::new(vec![ann.clone()], Vec::new(), vec![id(mine)]);
        let reader = who(Scope::Read, Some(session_scope));
        let judge = |rule: Rule, session: &str, user: Option<&UserId>| {
            rule.judge(&reader, Some(&id(session)), |_| user.cloned())
        };
        assert_eq!(
            judge(Rule::Session(Scope::Read), mine, None),
            Verdict::Allowed
        );
        assert_eq!(
            judge(Rule::Session(Scope::Read), other, Some(&ann)),
            Verdict::Allowed
        );
        assert_eq!(
            judge(Rule::Session(Scope::Read), other, Some(&UserId::unknown())),
            Verdict::Unknown
        );
        assert_eq!(
            judge(Rule::Session(Scope::Read), other, None),
            Verdict::Unknown
        );
        for session in [mine, other] {
            assert_eq!(
                judge(Rule::Session(Scope::Append), session, None),
                Verdict::Forbidden
            );
        }
        assert_eq!(
            judge(Rule::Filtered(Scope::Read), other, None),
            Verdict::Allowed
        );
        assert_eq!(
            judge(Rule::Whole(Scope::Read), mine, None),
            Verdict::Forbidden
        );
        assert_eq!(judge(Rule::Open, other, None), Verdict::Allowed);
    }

    #[test]
    fn without_limits_no_request_looks_up_the_user_of_a_session() {
        let admin = who(Scope::Admin, None);
        let id = SessionId::parse("s").unwrap();
        for rule in [
            Rule::Session(Scope::Write),
            Rule::Whole(Scope::Read),
            Rule::Filtered(Scope::Admin),
        ] {
            let judged = rule.judge(&admin, Some(&id), |_| unreachable!("nobody needs to know"));
            assert_eq!(judged, Verdict::Allowed);
        }
    }
}
