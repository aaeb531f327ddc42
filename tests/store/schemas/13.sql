BEGIN TRANSACTION;
CREATE TABLE calibration (
	project_id INTEGER NOT NULL, 
	content_hash TEXT NOT NULL, 
	PRIMARY KEY (project_id, content_hash), 
	FOREIGN KEY(project_id) REFERENCES projects (id) ON DELETE CASCADE
);
CREATE TABLE candidates (
	round_id INTEGER NOT NULL, 
	record_key INTEGER NOT NULL, 
	pool BOOLEAN NOT NULL, 
	content_hash TEXT NOT NULL, 
	answer TEXT, 
	agreed BOOLEAN NOT NULL, 
	justified BOOLEAN NOT NULL, 
	exactness TEXT NOT NULL, 
	answer_nll DOUBLE, 
	verifier_nll DOUBLE, 
	answer_entropy DOUBLE, 
	mean_nll DOUBLE, 
	token_entropy DOUBLE, 
	vote_entropy DOUBLE, 
	flagged BOOLEAN DEFAULT false NOT NULL, 
	decision TEXT, 
	decided_answer TEXT, 
	PRIMARY KEY (round_id, record_key), 
	FOREIGN KEY(round_id) REFERENCES rounds (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
CREATE TABLE costs (
	run_id INTEGER NOT NULL, 
	stage TEXT NOT NULL, 
	collaborator TEXT NOT NULL, 
	records INTEGER NOT NULL, 
	seconds DOUBLE NOT NULL, 
	prompt_tokens INTEGER NOT NULL, 
	answer_tokens INTEGER NOT NULL, 
	PRIMARY KEY (run_id, stage, collaborator), 
	FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
CREATE TABLE decisions (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	project_id INTEGER NOT NULL, 
	round_id INTEGER NOT NULL, 
	record_id TEXT NOT NULL, 
	content_hash TEXT NOT NULL, 
	action TEXT NOT NULL, 
	answer_shown TEXT, 
	answer TEXT, 
	note TEXT NOT NULL, 
	reviewer TEXT NOT NULL, 
	at DOUBLE NOT NULL, 
	undoes INTEGER, 
	batch TEXT, 
	"key" TEXT, 
	UNIQUE (project_id, "key"), 
	UNIQUE (undoes), 
	FOREIGN KEY(project_id) REFERENCES projects (id) ON DELETE CASCADE, 
	FOREIGN KEY(round_id) REFERENCES rounds (id) ON DELETE CASCADE
);
CREATE TABLE demonstrations (
	round_id INTEGER NOT NULL, 
	record_key INTEGER NOT NULL, 
	nearest TEXT NOT NULL, 
	nearest_id TEXT, 
	similarity DOUBLE, 
	x DOUBLE, 
	y DOUBLE, 
	PRIMARY KEY (round_id, record_key), 
	FOREIGN KEY(round_id) REFERENCES rounds (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
CREATE TABLE evaluations (
	run_id INTEGER NOT NULL, 
	document TEXT NOT NULL, 
	PRIMARY KEY (run_id), 
	FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE
);
CREATE TABLE events (
	id INTEGER NOT NULL, 
	run_id INTEGER NOT NULL, 
	at DOUBLE NOT NULL, 
	stage TEXT NOT NULL, 
	text TEXT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE
);
CREATE TABLE hidden_gold (
	version_id INTEGER NOT NULL, 
	record_id TEXT NOT NULL, 
	answer TEXT NOT NULL, 
	PRIMARY KEY (version_id, record_id), 
	FOREIGN KEY(version_id) REFERENCES versions (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
CREATE TABLE metrics (
	run_id INTEGER NOT NULL, 
	stage TEXT NOT NULL, 
	name TEXT NOT NULL, 
	step INTEGER NOT NULL, 
	value DOUBLE, 
	at DOUBLE NOT NULL, 
	attempt INTEGER NOT NULL, 
	PRIMARY KEY (run_id, stage, name, step), 
	FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
CREATE TABLE migrations (
	number INTEGER NOT NULL, 
	applied TEXT NOT NULL, 
	PRIMARY KEY (number)
);
INSERT INTO "migrations" VALUES(1,'2026-11-29T17:18:29+00:00');
INSERT INTO "migrations" VALUES(2,'2026-11-29T17:18:29+00:00');
INSERT INTO "migrations" VALUES(3,'2026-11-29T17:18:29+00:00');
INSERT INTO "migrations" VALUES(4,'2026-11-29T17:18:29+00:00');
INSERT INTO "migrations" VALUES(5,'2026-11-29T17:18:29+00:00');
INSERT INTO "migrations" VALUES(6,'2026-11-29T17:18:29+00:00');
INSERT INTO "migrations" VALUES(7,'2026-11-29T17:18:29+00:00');
INSERT INTO "migrations" VALUES(8,'2026-11-29T17:18:29+00:00');
INSERT INTO "migrations" VALUES(9,'2026-11-29T17:18:29+00:00');
INSERT INTO "migrations" VALUES(10,'2026-11-29T17:18:29+00:00');
INSERT INTO "migrations" VALUES(11,'2026-11-29T17:18:29+00:00');
INSERT INTO "migrations" VALUES(12,'2026-11-29T17:18:29+00:00');
INSERT INTO "migrations" VALUES(13,'2026-11-29T17:18:29+00:00');
CREATE TABLE predictions (
	run_id INTEGER NOT NULL, 
	model TEXT NOT NULL, 
	record_key INTEGER NOT NULL, 
	input_hash TEXT NOT NULL, 
	text TEXT NOT NULL, 
	answer TEXT, 
	probabilities TEXT NOT NULL, 
	mass DOUBLE, 
	token_logprobs TEXT NOT NULL, 
	token_entropies TEXT NOT NULL, 
	exactness TEXT NOT NULL, 
	confidence DOUBLE, 
	PRIMARY KEY (run_id, model, record_key), 
	FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE
);
CREATE TABLE projects (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	name TEXT NOT NULL, 
	task TEXT, 
	settings TEXT NOT NULL, 
	created TEXT NOT NULL, 
	archived BOOLEAN DEFAULT false NOT NULL, 
	current_version INTEGER, 
	UNIQUE (name)
);
CREATE TABLE records (
	"key" INTEGER NOT NULL, 
	version_id INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	record_id TEXT NOT NULL, 
	split TEXT NOT NULL, 
	question TEXT NOT NULL, 
	options TEXT NOT NULL, 
	answer TEXT, 
	"row" INTEGER NOT NULL, 
	content_hash TEXT NOT NULL, 
	source_id TEXT DEFAULT '' NOT NULL, 
	group_id TEXT DEFAULT '' NOT NULL, 
	earlier TEXT, 
	PRIMARY KEY ("key"), 
	UNIQUE (version_id, record_id), 
	FOREIGN KEY(version_id) REFERENCES versions (id) ON DELETE CASCADE
);
CREATE TABLE responses (
	id INTEGER NOT NULL, 
	round_id INTEGER NOT NULL, 
	stage TEXT NOT NULL, 
	record_key INTEGER NOT NULL, 
	collaborator TEXT NOT NULL, 
	input_hash TEXT NOT NULL, 
	text TEXT NOT NULL, 
	answer TEXT, 
	probabilities TEXT NOT NULL, 
	mass DOUBLE, 
	token_logprobs TEXT NOT NULL, 
	token_entropies TEXT NOT NULL, 
	exactness TEXT NOT NULL, 
	run_id INTEGER NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (round_id, stage, record_key, collaborator, input_hash), 
	FOREIGN KEY(round_id) REFERENCES rounds (id) ON DELETE CASCADE, 
	FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE
);
CREATE TABLE reviewed (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	review_id INTEGER NOT NULL, 
	record_key INTEGER NOT NULL, 
	repeat BOOLEAN NOT NULL, 
	action TEXT NOT NULL, 
	answer TEXT, 
	decision_id INTEGER, 
	reviewer TEXT DEFAULT '' NOT NULL, 
	retracted BOOLEAN DEFAULT false NOT NULL, 
	"key" TEXT, 
	UNIQUE (review_id, "key"), 
	FOREIGN KEY(review_id) REFERENCES reviews (id) ON DELETE CASCADE
);
CREATE TABLE reviews (
	id INTEGER NOT NULL, 
	round_id INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	mode TEXT NOT NULL, 
	size INTEGER NOT NULL, 
	drawn TEXT NOT NULL, 
	policy TEXT NOT NULL, 
	prior TEXT NOT NULL, 
	reviewer TEXT NOT NULL, 
	created DOUBLE NOT NULL, 
	ended DOUBLE, 
	PRIMARY KEY (id), 
	UNIQUE (round_id, number), 
	FOREIGN KEY(round_id) REFERENCES rounds (id) ON DELETE CASCADE
);
CREATE TABLE rounds (
	id INTEGER NOT NULL, 
	project_id INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	parent_id INTEGER, 
	version_id INTEGER NOT NULL, 
	identity TEXT NOT NULL, 
	config TEXT NOT NULL, 
	created TEXT NOT NULL, 
	held TEXT NOT NULL, 
	spent TEXT, 
	warm_up_adapter TEXT, 
	shift TEXT, 
	fold_adapters TEXT, 
	weights TEXT, 
	revision INTEGER DEFAULT 0 NOT NULL, 
	decided INTEGER DEFAULT 0 NOT NULL, 
	chosen BOOLEAN DEFAULT false NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (project_id, identity), 
	FOREIGN KEY(project_id) REFERENCES projects (id) ON DELETE CASCADE, 
	FOREIGN KEY(parent_id) REFERENCES rounds (id) ON DELETE CASCADE, 
	FOREIGN KEY(version_id) REFERENCES versions (id) ON DELETE CASCADE
);
CREATE TABLE runs (
	id INTEGER NOT NULL, 
	project_id INTEGER NOT NULL, 
	round_id INTEGER, 
	first TEXT NOT NULL, 
	until TEXT NOT NULL, 
	config TEXT NOT NULL, 
	selection INTEGER, 
	selection_used INTEGER, 
	status TEXT NOT NULL, 
	attempt INTEGER DEFAULT 0 NOT NULL, 
	position INTEGER NOT NULL, 
	device TEXT DEFAULT '' NOT NULL, 
	pid INTEGER, 
	host TEXT, 
	boot TEXT, 
	process_start DOUBLE, 
	heartbeat_at DOUBLE, 
	heartbeat_ticks DOUBLE, 
	error TEXT, 
	environment TEXT NOT NULL, 
	adapter TEXT, 
	created DOUBLE NOT NULL, 
	started DOUBLE, 
	ended DOUBLE, 
	study TEXT, 
	PRIMARY KEY (id), 
	FOREIGN KEY(project_id) REFERENCES projects (id) ON DELETE CASCADE, 
	FOREIGN KEY(round_id) REFERENCES rounds (id) ON DELETE CASCADE
);
CREATE TABLE selected (
	selection_id INTEGER NOT NULL, 
	record_key INTEGER NOT NULL, 
	answer TEXT NOT NULL, 
	origin TEXT NOT NULL, 
	decision_id INTEGER, 
	PRIMARY KEY (selection_id, record_key), 
	FOREIGN KEY(selection_id) REFERENCES selections (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
CREATE TABLE selections (
	id INTEGER NOT NULL, 
	round_id INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	created TEXT NOT NULL, 
	policy TEXT, 
	evidence TEXT, 
	size INTEGER NOT NULL, 
	origins TEXT NOT NULL, 
	run_id INTEGER, 
	PRIMARY KEY (id), 
	UNIQUE (round_id, number), 
	FOREIGN KEY(round_id) REFERENCES rounds (id) ON DELETE CASCADE, 
	FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE
);
CREATE TABLE settings (
	name TEXT NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (name)
);
CREATE TABLE stages (
	run_id INTEGER NOT NULL, 
	stage TEXT NOT NULL, 
	status TEXT NOT NULL, 
	done INTEGER DEFAULT 0 NOT NULL, 
	total INTEGER DEFAULT 0 NOT NULL, 
	started DOUBLE, 
	ended DOUBLE, 
	found INTEGER DEFAULT 0 NOT NULL, 
	worked DOUBLE DEFAULT 0 NOT NULL, 
	PRIMARY KEY (run_id, stage), 
	FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE
);
CREATE TABLE study_results (
	version_id INTEGER NOT NULL, 
	identity TEXT NOT NULL, 
	seed INTEGER NOT NULL, 
	arm TEXT NOT NULL, 
	document TEXT NOT NULL, 
	at DOUBLE NOT NULL, 
	PRIMARY KEY (version_id, identity, seed, arm), 
	FOREIGN KEY(version_id) REFERENCES versions (id) ON DELETE CASCADE
);
CREATE TABLE versions (
	id INTEGER NOT NULL, 
	project_id INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	created TEXT NOT NULL, 
	task TEXT NOT NULL, 
	counts TEXT NOT NULL, 
	sources TEXT NOT NULL, 
	findings TEXT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (project_id, number), 
	FOREIGN KEY(project_id) REFERENCES projects (id) ON DELETE CASCADE
);
CREATE INDEX records_in_order ON records (version_id, split, position);
CREATE INDEX rounds_of_version ON rounds (version_id);
CREATE INDEX rounds_of_parent ON rounds (parent_id);
CREATE INDEX runs_of_project ON runs (project_id);
CREATE INDEX runs_of_round ON runs (round_id);
CREATE UNIQUE INDEX one_active_run ON runs (device) WHERE status IN ('running', 'stopping');
CREATE INDEX candidates_by_content ON candidates (content_hash);
CREATE INDEX decisions_by_content ON decisions (project_id, content_hash);
CREATE INDEX decisions_of_round ON decisions (round_id);
CREATE INDEX decisions_by_reviewer ON decisions (project_id, reviewer);
CREATE INDEX events_of_run ON events (run_id, id);
CREATE INDEX responses_of_run ON responses (run_id);
CREATE INDEX selections_of_run ON selections (run_id);
CREATE INDEX reviewed_in_review ON reviewed (review_id);
DELETE FROM "sqlite_sequence";
COMMIT;
