//! Goals and agents.

use serde_json::{Value, json};

use crate::server::TestServer;

#[tokio::test]
async fn a_goal_is_added_with_what_it_was_given() {
    let server = TestServer::start();
    server.create("s", "u").await;
    let reply = server
        .post(
            "/api/state/s/goals",
            json!({"id": "g", "description": "fly", "priority": "high", "x": [1]}),
        )
        .await;
    let answer = reply.ok();
    assert_eq!(answer["success"], true);
    let expected =
        json!({"id": "g", "description": "fly", "priority": "high", "x": [1], "status": "pending"});
    assert_eq!(answer["goal"], expected);
    assert_eq!(
        server
            .add_goal("s", json!({"goalId": "h", "status": "in_progress"}))
            .await["id"],
        "h"
    );
    let goals = server.state("s").await["goals"].take();
    assert_eq!(&goals[0], &expected);
    assert_eq!(&goals[1]["status"], &json!("in_progress"));
}

#[tokio::test]
async fn a_goal_without_id_gets_one_that_is_free() {
    let server = TestServer::start();
    server
        .add_goal("s", json!({"id": "goal-2", "description": "taken"}))
        .await;
    let mut ids = vec!["goal-2".to_owned()];
    for _ in 0..3 {
        let id = server.add_goal("s", json!({"description": "d"})).await["id"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(
            id.starts_with("goal-") && !ids.contains(&id),
            "{id} after {ids:?}"
        );
        ids.push(id);
    }
    let reply = server
        .post("/api/state/s/goals", json!({"id": "goal-2"}))
        .await;
    reply.refused(409, "goal_exists");
    assert_eq!(
        server.state("s").await["goals"].as_array().unwrap().len(),
        4
    );
}

#[tokio::test]
async fn completing_a_goal_sets_the_time() {
    let server = TestServer::start();
    server
        .add_goal("s", json!({"id": "a goal/with ü", "description": "d"}))
        .await;
    let path = "a%20goal%2Fwith%20%C3%BC";
    assert_eq!(
        server
            .update_goal("s", path, json!({"status": "completed", "note": "n"}))
            .await
            .ok(),
        json!({"success": true})
    );
    let goal = server.state("s").await["goals"][0].take();
    assert_eq!(&goal["status"], &json!("completed"));
    assert_eq!(&goal["note"], &json!("n"));
    assert_eq!(&goal["id"], &json!("a goal/with ü"));
    assert!(goal["completedAt"].as_str().unwrap().ends_with('Z'));
    server
        .update_goal("s", "nope", json!({"status": "completed"}))
        .await
        .refused(404, "goal_not_found");
}

#[tokio::test]
async fn a_goal_is_not_completed_later_than_its_completion_is_received() {
    let server = TestServer::start();
    let past = "2026-01-01T00:00:00.000Z";
    let future = "2999-01-01T00:00:00.000Z";
    for (id, given) in [("a", past), ("b", future)] {
        server
            .add_goal(
                "s",
                json!({"id": id, "status": "completed", "completedAt": given}),
            )
            .await;
        server.add_goal("s", json!({"id": format!("{id}2")})).await;
        let update = json!({"status": "completed", "completedAt": given});
        server
            .update_goal("s", &format!("{id}2"), update)
            .await
            .ok();
    }
    let goals = server.state("s").await["goals"].take();
    let completed: Vec<&str> = goals
        .as_array()
        .unwrap()
        .iter()
        .map(|goal| goal["completedAt"].as_str().unwrap())
        .collect();
    assert_eq!(completed[..2], [past, past]);
    assert!(
        completed[2..]
            .iter()
            .all(|time| *time > past && *time < future),
        "{completed:?}"
    );
}

#[tokio::test]
async fn an_agent_is_spawned_and_completed_once() {
    let server = TestServer::start();
    server.create("s", "u").await;
    let agent = server
        .spawn_agent(
            "s",
            json!({"agentId": "a", "type": "scout", "task": "look"}),
        )
        .await
        .ok();
    let agent = agent.get("agent").cloned().unwrap_or(agent);
    assert_eq!(&agent["agentId"], &json!("a"));
    assert_eq!(&agent["type"], &json!("scout"));
    assert_eq!(&agent["task"], &json!("look"));
    assert_eq!(&agent["status"], &json!("spawned"));
    assert_eq!(&agent["subsession"], &Value::Null);
    server
        .spawn_agent("s", json!({"agentId": "a", "type": "t", "task": "x"}))
        .await
        .refused(409, "agent_exists");
    for _ in 0..2 {
        assert_eq!(server.complete_agent("s", "a").await.ok()["success"], true);
    }
    server
        .complete_agent("s", "nope")
        .await
        .refused(404, "agent_not_found");
    let whole = server.session("s").await;
    let agents = &whole["state"]["agents"];
    assert_eq!(&agents["active"], &json!([]));
    assert_eq!(&agents["completed"], &json!(["a"]));
    assert_eq!(agents["spawned"][0]["status"], "completed");
    assert!(agents["spawned"][0]["completedAt"].is_string());
    assert_eq!(whole["metadata"]["metrics"]["agentsSpawned"], 1);
}

#[tokio::test]
async fn an_agent_that_has_ended_is_started_again() {
    let server = TestServer::start();
    server.create("s", "u").await;
    let spawn = |task: &str| {
        let body = json!({"agentId": "a", "type": "scout", "task": task, "resumes": 7});
        server.spawn_agent("s", body)
    };
    let first = spawn("look").await.ok();
    server.complete_agent("s", "a").await.ok();
    let again = spawn("").await.ok();
    assert_eq!(&again["status"], &json!("spawned"));
    assert_eq!(&again["task"], &json!("look"));
    assert_eq!(&again["resumes"], &json!(1));
    assert_eq!(&again["spawnedAt"], &first["spawnedAt"]);
    assert_eq!(again.get("completedAt"), None);
    spawn("x").await.refused(409, "agent_exists");
    let whole = server.session("s").await;
    assert_eq!(whole["state"]["agents"]["active"], json!(["a"]));
    assert_eq!(whole["state"]["agents"]["completed"], json!([]));
    assert_eq!(whole["metadata"]["metrics"]["agentsSpawned"], 1);
    server.complete_agent("s", "a").await.ok();
    assert_eq!(spawn("more").await.ok()["resumes"], 2);
    server.complete_agent("s", "a").await.ok();
    server.create("s-child", "u").await;
    server
        .spawn_agent("s", json!({"agentId": "a", "subsession": "s-child"}))
        .await
        .ok();
    assert_eq!(
        server.metadata("s").await["subsessions"],
        json!(["s-child"])
    );
    // The session read from the log equals the one in memory.
    let before = server.session("s").await;
    let server = server.kill().start();
    assert_eq!(server.session("s").await, before);
    assert_eq!(
        before["state"]["agents"]["spawned"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn agents_that_are_active_at_the_end_are_named_there() {
    let server = TestServer::start();
    for id in ["a", "b", "c"] {
        server.spawn_agent("s", json!({"agentId": id})).await.ok();
    }
    server.complete_agent("s", "b").await.ok();
    for _ in 0..2 {
        server.finalize("s", json!({})).await.ok();
    }
    let ended = server.session("s").await["final"].take();
    assert_eq!(ended["agentsNotEnded"], json!(["a", "c"]));
    let server = server.kill().start();
    assert_eq!(server.session("s").await["final"], ended);
    server.post("/api/sessions/s/reopen", json!({})).await.ok();
    for id in ["a", "c"] {
        server.complete_agent("s", id).await.ok();
    }
    server
        .finalize("s", json!({"agentsNotEnded": ["x"]}))
        .await
        .ok();
    assert_eq!(
        server.session("s").await["final"].get("agentsNotEnded"),
        None
    );
}

#[tokio::test]
async fn the_answer_to_a_spawn_is_the_agent_record() {
    let server = TestServer::start();
    let answer = server
        .spawn_agent("s", json!({"type": "scout", "task": "look"}))
        .await
        .ok();
    let id = answer["agentId"]
        .as_str()
        .unwrap_or_else(|| panic!("the agent record itself: {answer}"));
    let tail = id
        .strip_prefix("agent-scout-")
        .unwrap_or_else(|| panic!("{id}"));
    assert!(
        tail.chars()
            .all(|c| c.is_ascii_digit() || c.is_ascii_lowercase()),
        "{id}"
    );
    assert_eq!(server.state("s").await["agents"]["active"], json!([id]));
    let other = server
        .spawn_agent("s", json!({"type": "scout", "task": "look"}))
        .await
        .ok();
    assert_ne!(other["agentId"], answer["agentId"]);
}

#[tokio::test]
async fn an_agent_with_a_session_of_its_own_is_linked() {
    let server = TestServer::start();
    server.create("s", "u").await;
    server.create("s-child", "u").await;
    server
        .spawn_agent(
            "s",
            json!({"type": "t", "task": "x", "subsession": "s-child"}),
        )
        .await
        .ok();
    assert_eq!(
        server.metadata("s").await["subsessions"],
        json!(["s-child"])
    );
    let bad = server
        .spawn_agent(
            "s",
            json!({"type": "t", "task": "x", "subsession": "../up"}),
        )
        .await;
    assert_eq!(bad.status, 400, "{}", bad.text);
}

#[tokio::test]
async fn an_agents_session_is_listed_while_there_is_one() {
    let server = TestServer::start();
    server.create("s", "u").await;
    let agent = |id: &str, child: &str| json!({"agentId": id, "type": "t", "task": "x", "subsession": child});
    for (id, child) in [
        ("a", "ghost"),
        ("b", "born-with-parent"),
        ("c", "born-alone"),
    ] {
        let spawned = server.spawn_agent("s", agent(id, child)).await.ok();
        assert_eq!(
            spawned["subsession"], child,
            "what was said of the agent stays"
        );
        assert_eq!(server.metadata("s").await["subsessions"], json!([]));
    }
    let line = json!({"type": "agent_spawn", "data": agent("d", "phantom")});
    server.batch("s", &[], &[line]).await.ok();
    let child = json!({"sessionId": "born-with-parent", "userId": "u", "initial": {}, "parentSession": "s"});
    server.post("/api/sessions", child).await.ok();
    assert_eq!(
        server.metadata("s").await["subsessions"],
        json!(["born-with-parent"])
    );
    server.create("born-alone", "u").await;
    for id in ["a", "b", "c", "d"] {
        server.complete_agent("s", id).await.ok();
    }
    let children = json!(["born-with-parent", "born-alone"]);
    assert_eq!(server.metadata("s").await["subsessions"], children);
    assert_eq!(
        server.state("s").await["agents"]["completed"],
        json!(["a", "b", "c", "d"])
    );
    let server = server.kill().start();
    assert_eq!(server.metadata("s").await["subsessions"], children);
    let setup = server.stop();
    let links = crate::disk::names(&setup.storage().join("sessions/s/subsessions"));
    assert_eq!(links, ["born-alone", "born-with-parent"]);
}

#[tokio::test]
async fn a_deleted_session_leaves_the_lists_that_an_agent_has_put_it_in() {
    let server = TestServer::start();
    for id in ["p", "q", "c", "d"] {
        server.create(id, "u").await;
    }
    for (parent, child) in [("p", "c"), ("q", "c"), ("p", "d"), ("p", "p")] {
        let agent = json!({"agentId": format!("of-{child}"), "type": "t", "task": "x", "subsession": child});
        server.spawn_agent(parent, agent).await.ok();
    }
    assert_eq!(
        server.metadata("p").await["subsessions"],
        json!(["c", "d"]),
        "and not itself"
    );
    server.delete("/api/sessions/c").await.ok();
    assert_eq!(server.metadata("p").await["subsessions"], json!(["d"]));
    assert_eq!(server.metadata("q").await["subsessions"], json!([]));
    let server = server.restart();
    server.delete("/api/sessions/d").await.ok();
    assert_eq!(
        server.metadata("p").await["subsessions"],
        json!([]),
        "the index knows it after a start, too"
    );
    let setup = server.stop();
    assert!(crate::disk::names(&setup.storage().join("sessions/p/subsessions")).is_empty());
}
