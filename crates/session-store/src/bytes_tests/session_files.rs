//! The bytes of one session's files. Directories on disk contain these names and this order: only
//! add names, with a default for files that lack them; never rename or reorder.

/// `initial.json`: written once, at the creation.
pub(super) const INITIAL_JSON: &str = r#"{
  "$schema": "session-initial-v1",
  "timestamp": "2026-09-21T14:13:19.500Z",
  "receivedAt": "2026-09-21T14:13:20.000Z",
  "source": "test",
  "config": {
    "model": "m-1"
  }
}
"#;

/// `final-1.json`: the final document that the reopening replaced; written once.
pub(super) const FINAL_1_JSON: &str = r#"{
  "$schema": "session-final-v1",
  "timestamp": "2026-09-21T14:13:29.000Z",
  "status": "success",
  "outcome": "landed",
  "goalsAchieved": [],
  "finalResponse": null,
  "metrics": {
    "agentsSpawned": 1,
    "toolCalls": 1,
    "mcpCalls": 0,
    "filesModified": 0,
    "bashCommands": 0,
    "redactions": 1
  },
  "subsessions": [
    "c"
  ],
  "agentsNotEnded": [
    "a1"
  ]
}
"#;

/// `state.json`.
pub(super) const STATE_JSON: &str = r#"{
  "$schema": "session-state-v1",
  "version": 6,
  "timestamp": "2026-09-21T14:13:27.000Z",
  "phase": "planning",
  "currentStep": "s2",
  "goals": [
    {
      "id": "g1",
      "description": "fly",
      "status": "pending"
    }
  ],
  "priorities": {
    "current": null,
    "queue": [],
    "blocked": []
  },
  "expectedOutcome": {},
  "agents": {
    "spawned": [
      {
        "agentId": "a1",
        "type": "scout",
        "task": null,
        "status": "spawned",
        "spawnedAt": "2026-09-21T14:13:27.000Z",
        "subsession": "c"
      }
    ],
    "active": [
      "a1"
    ],
    "completed": []
  },
  "mcp": {
    "swarm": {},
    "memory": {
      "keys": []
    }
  },
  "workspace": {
    "cwd": "/workspace",
    "filesCreated": [],
    "filesModified": [],
    "gitStatus": {}
  },
  "errors": []
}
"#;

/// `final.json`.
pub(super) const FINAL_JSON: &str = r#"{
  "$schema": "session-final-v1",
  "timestamp": "2026-09-21T14:13:31.000Z",
  "status": "success",
  "outcome": "landed again",
  "goalsAchieved": [],
  "finalResponse": null,
  "metrics": {
    "agentsSpawned": 1,
    "toolCalls": 1,
    "mcpCalls": 0,
    "filesModified": 0,
    "bashCommands": 0,
    "redactions": 1
  },
  "subsessions": [
    "c"
  ],
  "agentsNotEnded": [
    "a1"
  ]
}
"#;

/// `metadata.json`, with the service's own keys at the end.
pub(super) const METADATA_JSON: &str = r#"{
  "$schema": "session-metadata-v1",
  "sessionId": "s",
  "userId": "ada",
  "sandboxId": null,
  "created": "2026-09-21T14:13:19.500Z",
  "updated": "2026-09-21T14:13:31.000Z",
  "status": "completed",
  "model": "m-1",
  "yoloMode": false,
  "tokenUsage": {
    "input": 5,
    "output": 0,
    "total": 0
  },
  "metrics": {
    "agentsSpawned": 1,
    "toolCalls": 1,
    "mcpCalls": 0,
    "filesModified": 0,
    "bashCommands": 0,
    "redactions": 1
  },
  "tags": [
    "demo"
  ],
  "parentSession": "p",
  "subsessions": [
    "c"
  ],
  "duration": 11500,
  "outcome": "success",
  "errorCount": 0,
  "receivedAt": "2026-09-21T14:13:20.000Z",
  "$offset": 111,
  "$createdOffset": 100,
  "$finals": 1,
  "$final": true,
  "$finalAt": "2026-09-21T14:13:31.000Z",
  "$keyframe": {
    "seq": 5,
    "bytes": 884,
    "state_bytes": 393
  },
  "$logs": {
    "actions": {
      "seq": 1,
      "bytes": 144,
      "legacy": 0
    },
    "responses": {
      "seq": 1,
      "bytes": 121,
      "legacy": 0
    },
    "changes": {
      "seq": 10,
      "bytes": 2338,
      "legacy": 0
    }
  },
  "$keyed": {
    "offset": 111,
    "actions": {
      "keys": 0,
      "amends": 0,
      "end": 0
    },
    "responses": {
      "keys": 0,
      "amends": 0,
      "end": 0
    }
  },
  "$usage": {
    "offset": 111,
    "sums": {}
  }
}
"#;

/// `producers.json`: the second producer is in the middle of a batch.
pub(super) const PRODUCERS_JSON: &str = r#"{
  "p-1": {
    "epoch": 1790000000000,
    "seq": 7,
    "used": 108,
    "answer": {
      "status": 200,
      "body": "{\"success\":true}"
    }
  },
  "p-2": {
    "epoch": 1790000000000,
    "seq": 0,
    "used": 109,
    "answer": {
      "status": 200,
      "body": "{\"success\":true}",
      "part": {
        "from": 0,
        "done": 2,
        "last": false
      }
    }
  }
}
"#;

/// `actions.jsonl`.
pub(super) const ACTIONS_JSONL: &str = r#"{"seq":1,"timestamp":"2026-09-21T14:13:21.000Z","$offset":101,"type":"tool_call","n":1.0,"token":"[redacted:token:0badcafe]","$crc":"c7626c79"}
"#;

/// `responses.jsonl`.
pub(super) const RESPONSES_JSONL: &str = r#"{"seq":1,"timestamp":"2026-09-21T14:13:22.000Z","$offset":102,"type":"assistant","text":"line\nbreak","$crc":"021a066e"}
"#;

/// `changes.jsonl`: the third line is a key frame.
pub(super) const CHANGES_JSONL: &str = r#"{"seq":1,"timestamp":"2026-09-21T14:13:20.000Z","$offset":100,"version":1,"type":"session_created","data":{"sessionId":"s","userId":"ada"},"$birth":{"initial":{"source":"test","config":{"model":"m-1"}},"parent":"p","began":1789999999500},"$key":1,"$crc":"d2b81e37"}
{"seq":2,"timestamp":"2026-09-21T14:13:23.000Z","$offset":103,"version":2,"type":"state_updated","data":{"phase":"planning","version":2},"$key":1,"$crc":"7b38079f"}
{"seq":3,"timestamp":"2026-09-21T14:13:24.000Z","$offset":104,"version":3,"type":"state_updated","data":{"patch":{"currentStep":"s1","note":null},"version":3},"format":"merge-patch","$key":1,"$crc":"5a8b097f"}
{"seq":4,"timestamp":"2026-09-21T14:13:25.000Z","$offset":105,"version":4,"type":"state_updated","data":{"patch":[{"op":"replace","path":"/currentStep","value":"s2"}],"version":4},"format":"json-patch","$key":1,"$crc":"60ec51a9"}
{"seq":5,"timestamp":"2026-09-21T14:13:26.000Z","$offset":106,"version":5,"type":"goal_added","data":{"id":"g1","description":"fly","status":"pending"},"$key":5,"$state":{"$schema":"session-state-v1","version":4,"timestamp":"2026-09-21T14:13:25.000Z","phase":"planning","currentStep":"s2","goals":[],"priorities":{"current":null,"queue":[],"blocked":[]},"expectedOutcome":{},"agents":{"spawned":[],"active":[],"completed":[]},"mcp":{"swarm":{},"memory":{"keys":[]}},"workspace":{"cwd":"/workspace","filesCreated":[],"filesModified":[],"gitStatus":{}},"errors":[]},"$crc":"942ca86a"}
{"seq":6,"timestamp":"2026-09-21T14:13:27.000Z","$offset":107,"version":6,"type":"agent_spawned","data":{"agentId":"a1","type":"scout","task":null,"status":"spawned","spawnedAt":"2026-09-21T14:13:27.000Z","subsession":"c"},"$key":5,"$crc":"81f0c37c"}
{"seq":7,"timestamp":"2026-09-21T14:13:28.000Z","$offset":108,"version":6,"type":"metadata_updated","data":{"tags":["demo"],"tokenUsage.input":5},"$key":5,"$crc":"91e84752"}
{"seq":8,"timestamp":"2026-09-21T14:13:29.000Z","$offset":109,"version":6,"type":"session_finalized","data":{"outcome":"landed"},"$key":5,"$crc":"65864fa3"}
{"seq":9,"timestamp":"2026-09-21T14:13:30.000Z","$offset":110,"version":6,"type":"session_reopened","data":{},"$key":5,"$crc":"9d1561f1"}
{"seq":10,"timestamp":"2026-09-21T14:13:31.000Z","$offset":111,"version":6,"type":"session_finalized","data":{"outcome":"landed again"},"$key":5,"$crc":"871d1a88"}
"#;

/// The image of the session in the journal (`base` of an entry).
pub(super) const IMAGE: &str = r#"{"id":"s","metadata":{"$schema":"session-metadata-v1","sessionId":"s","userId":"ada","sandboxId":null,"created":"2026-09-21T14:13:19.500Z","updated":"2026-09-21T14:13:31.000Z","status":"completed","model":"m-1","yoloMode":false,"tokenUsage":{"input":5,"output":0,"total":0},"metrics":{"agentsSpawned":1,"toolCalls":1,"mcpCalls":0,"filesModified":0,"bashCommands":0,"redactions":1},"tags":["demo"],"parentSession":"p","subsessions":["c"],"duration":11500,"outcome":"success","errorCount":0,"receivedAt":"2026-09-21T14:13:20.000Z"},"state":{"$schema":"session-state-v1","version":6,"timestamp":"2026-09-21T14:13:27.000Z","phase":"planning","currentStep":"s2","goals":[{"id":"g1","description":"fly","status":"pending"}],"priorities":{"current":null,"queue":[],"blocked":[]},"expectedOutcome":{},"agents":{"spawned":[{"agentId":"a1","type":"scout","task":null,"status":"spawned","spawnedAt":"2026-09-21T14:13:27.000Z","subsession":"c"}],"active":["a1"],"completed":[]},"mcp":{"swarm":{},"memory":{"keys":[]}},"workspace":{"cwd":"/workspace","filesCreated":[],"filesModified":[],"gitStatus":{}},"errors":[]},"final_doc":{"$schema":"session-final-v1","timestamp":"2026-09-21T14:13:31.000Z","status":"success","outcome":"landed again","goalsAchieved":[],"finalResponse":null,"metrics":{"agentsSpawned":1,"toolCalls":1,"mcpCalls":0,"filesModified":0,"bashCommands":0,"redactions":1},"subsessions":["c"],"agentsNotEnded":["a1"]},"finals":1,"logs":[{"seq":1,"bytes":144,"legacy":0},{"seq":1,"bytes":121,"legacy":0},{"seq":10,"bytes":2338,"legacy":0}],"offset":111,"created_offset":100,"keyframe":{"seq":5,"bytes":884,"state_bytes":393},"producers":{"p-1":{"epoch":1790000000000,"seq":7,"used":108,"answer":{"status":200,"body":"{\"success\":true}"}},"p-2":{"epoch":1790000000000,"seq":0,"used":109,"answer":{"status":200,"body":"{\"success\":true}","part":{"from":0,"done":2,"last":false}}}},"usage":{},"outbox":[{"Initial":{"$schema":"session-initial-v1","timestamp":"2026-09-21T14:13:19.500Z","receivedAt":"2026-09-21T14:13:20.000Z","source":"test","config":{"model":"m-1"}}},{"FinalArchive":[1,{"$schema":"session-final-v1","timestamp":"2026-09-21T14:13:29.000Z","status":"success","outcome":"landed","goalsAchieved":[],"finalResponse":null,"metrics":{"agentsSpawned":1,"toolCalls":1,"mcpCalls":0,"filesModified":0,"bashCommands":0,"redactions":1},"subsessions":["c"],"agentsNotEnded":["a1"]}]}],"keyed":{"actions":{"keys":0,"amends":0,"end":0},"responses":{"keys":0,"amends":0,"end":0}}}"#;
