"""The workspace's database: every SQL statement of the project.

`schema` and `columns` define the tables, `migrations` bring an old database up to date, `connecting` makes
connections, over which `database` reads and writes. `data/` holds projects, dataset versions and records; `runs/`
rounds, runs and what a worker reports; `results/` what models answered and the outcome; `decisions/` what experts
decided, reviews and frozen selections; `archives/` whole projects as rows. `health` checks and copies the database,
`swap` puts a restored workspace in the place of this one, `settings` holds the models that the workspace knows.
"""
