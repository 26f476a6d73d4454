//! Many changes of one session: the cost of a change does not grow with the changes before it, and
//! applying them together gives the same result as applying them one by one.

use serde_json::{Value, json};
use session_model::change_line;
use session_model::event::Creation;
use session_model::transition::{self, Outcome};
use session_model::{Command, LogKind, SessionId, Stamp, Timestamp, UserId, View};

use crate::cost::{assert_linear, cost_of};

fn created_view() -> View {
    let id = SessionId::parse("s").unwrap();
    let at = Timestamp::from_millis(0);
    let change = transition::create(&id, &UserId::unknown(), Creation::default());
    View::at_creation(
        &id,
        &change,
        Stamp {
            seq: 1,
            offset: 1,
            at,
            bytes: 0,
            keyframe: false,
        },
    )
}

/// Applies lines as a batch does.
fn apply_all(view: &mut View, lines: impl Iterator<Item = Value>) {
    let at = Timestamp::from_millis(5_000);
    let mut out = Vec::new();
    for line in lines {
        let line = line.to_string();
        let Outcome::Change(change, _) =
            transition::decide(view, Command::parse_line(&line).unwrap(), at).unwrap()
        else {
            panic!("no change: {line}");
        };
        let seq = view.next_seq(LogKind::Changes);
        let offset = view.offset + 1;
        if change_line::wants_keyframe(view) {
            view.settle();
        }
        out.clear();
        let keyframe = change_line::write(&mut out, Some(view), &change, seq, at, offset);
        view.apply_one(
            &change,
            Stamp {
                seq,
                offset,
                at,
                bytes: out.len() as u64,
                keyframe,
            },
        )
        .unwrap();
    }
    view.settle();
}

fn goal(n: usize) -> Value {
    json!({"type": "goal_add", "data": {"id": format!("g{n}")}})
}

fn agent(n: usize) -> Value {
    json!({"type": "agent_spawn", "data": {"agentId": format!("a{n}"), "subsession": format!("child-{n}")}})
}

type Lines = fn(usize) -> Box<dyn Iterator<Item = Value>>;

/// For each kind: its name, the lines applied before, and the lines that are measured, for a given
/// number.
const KINDS: [(&str, Lines, Lines); 11] = [
    (
        "goals without ids",
        |_| Box::new(std::iter::empty()),
        |n| Box::new((0..n).map(|_| json!({"type": "goal_add", "data": {}}))),
    ),
    (
        "goals with ids",
        |_| Box::new(std::iter::empty()),
        |n| Box::new((0..n).map(goal)),
    ),
    // The first half of the lines uses the ids that would be generated for the second half.
    (
        "goals in each other's way",
        |_| Box::new(std::iter::empty()),
        |n| {
            let taken = (n / 2 + 1..=n)
                .map(|n| json!({"type": "goal_add", "data": {"id": format!("goal-{n}")}}));
            Box::new(taken.chain((0..n / 2).map(|_| json!({"type": "goal_add", "data": {}}))))
        },
    ),
    (
        "goals' updates",
        |n| Box::new((0..n).map(goal)),
        |n| {
            Box::new(
                (0..n).map(
                    |n| json!({"type": "goal_update", "data": {"goalId": format!("g{n}"), "status": "x"}}),
                ),
            )
        },
    ),
    (
        "agents without ids",
        |_| Box::new(std::iter::empty()),
        |n| Box::new((0..n).map(|_| json!({"type": "agent_spawn", "data": {"type": "t"}}))),
    ),
    (
        "agents with children",
        |_| Box::new(std::iter::empty()),
        |n| Box::new((0..n).map(agent)),
    ),
    (
        "agents' ends",
        |n| Box::new((0..n).map(agent)),
        |n| {
            Box::new(
                (0..n).map(
                    |n| json!({"type": "agent_complete", "data": {"agentId": format!("a{n}")}}),
                ),
            )
        },
    ),
    (
        "metadata of many fields",
        |_| Box::new(std::iter::empty()),
        |n| {
            Box::new(
                (0..n).map(
                    |n| json!({"type": "metadata_update", "data": {format!("own.f{n}"): n, "sum": "+1"}}),
                ),
            )
        },
    ),
    (
        "metadata beside many children",
        |n| Box::new((0..n).map(agent)),
        |n| {
            Box::new((0..n).map(
                |_| json!({"type": "metadata_update", "data": {"metrics.own": "+1", "title": "x"}}),
            ))
        },
    ),
    (
        "state of many fields",
        |_| Box::new(std::iter::empty()),
        |n| {
            Box::new((0..n).map(
                |n| json!({"type": "state_update", "data": {"workspace": {format!("f{n}"): n}}}),
            ))
        },
    ),
    (
        "state beside many agents",
        |n| Box::new((0..n).map(agent).chain((0..n).map(goal))),
        |n| {
            Box::new(
                (0..n).map(|n| json!({"type": "state_update", "data": {"agents": {"own": n}}})),
            )
        },
    ),
];

#[test]
fn the_cost_of_a_line_does_not_grow_with_the_lines_before_it() {
    for (what, before, lines) in KINDS {
        let cost = |n: usize| {
            let mut view = created_view();
            apply_all(&mut view, before(n));
            cost_of(|| apply_all(&mut view, lines(n)))
        };
        assert_linear(what, || (cost(500), cost(4_000)));
    }
}

#[test]
fn many_lines_at_once_come_to_what_they_come_to_one_by_one() {
    let lines = || {
        (0..200).flat_map(|n| {
            [
                agent(n),
                goal(n),
                json!({"type": "agent_spawn", "data": {"type": "t"}}),
                json!({"type": "agent_complete", "data": {"agentId": format!("a{}", n / 2 * 2 / 2)}}),
                json!({"type": "state_update", "data": {"agents": {"own": n}}}),
                json!({"type": "goal_update", "data": {"goalId": format!("g{}", n / 3), "n": n}}),
                json!({"type": "metadata_update", "data": {"sum": "+1", "tokenUsage.input": "+2"}}),
            ]
        })
    };
    // Each agent completes only once.
    let mut done = std::collections::HashSet::new();
    let lines: Vec<Value> = lines()
        .filter(|line| line["type"] != "agent_complete" || done.insert(line.to_string()))
        .collect();
    let mut at_once = created_view();
    let mut one_by_one = created_view();
    apply_all(&mut at_once, lines.iter().cloned());
    lines
        .iter()
        .for_each(|line| apply_all(&mut one_by_one, std::iter::once(line.clone())));
    assert_eq!(at_once, one_by_one);
    let state = at_once.state.doc();
    let completed = state["agents"]["completed"].as_array().unwrap();
    assert!(completed.len() > 50);
    assert!(
        state["agents"]["active"]
            .as_array()
            .unwrap()
            .iter()
            .all(|id| !completed.contains(id))
    );
}
