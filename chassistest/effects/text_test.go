package effects

import "testing"

func TestRepeats(t *testing.T) {
	for query, want := range map[string]bool{
		"INSERT INTO t (a) VALUES (?)":                                                     false,
		"insert into t (a) values ($1) on conflict do nothing":                             true,
		"INSERT OR IGNORE INTO t VALUES (?)":                                               true,
		"INSERT IGNORE INTO t VALUES (?)":                                                  true,
		"INSERT INTO t (a, n) VALUES ($1, 1) ON CONFLICT (a) DO UPDATE SET n = EXCLUDED.n": true,
		"INSERT INTO t (a, n) VALUES ($1, 1) ON CONFLICT (a) DO UPDATE SET n = t.n + 1":    false,
		"INSERT INTO t (a, n) VALUES (?, 1) ON DUPLICATE KEY UPDATE n = n + 1":             false,
		"INSERT INTO t (a, n) VALUES (?, 1) ON DUPLICATE KEY UPDATE n = ?":                 true,
		"REPLACE INTO t VALUES (?)":                                                        true,
		"UPDATE t SET status = 'paid', n = ? WHERE id = ?":                                 true,
		"UPDATE t SET n = n + ? WHERE id = ?":                                              false,
		"UPDATE t SET at = now() WHERE id = ?":                                             false,
		"UPDATE t SET a = :a, b = @b, c = $1, d = NULL WHERE id = 1":                       true,
		"UPDATE t SET a = $1, b = coalesce(b, $2) WHERE id = 1":                            false,
		"UPDATE t SET note = 'n = n + 1' WHERE id = 1":                                     true,
		"UPDATE t SET a = 1 -- n = n + 1\n WHERE id = 1":                                   true,
		"UPDATE t SET a = ? WHERE id = ? RETURNING n":                                      true,
		"DELETE FROM t WHERE id = ?":                                                       true,
		"WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x":                               false,
		"WITH gone AS (SELECT id FROM old) DELETE FROM t USING gone WHERE t.id = gone.id":  true,
		"CREATE TABLE IF NOT EXISTS t (a int)":                                             true,
		"CREATE TABLE t (a int)":                                                           false,
		"MERGE INTO t USING s ON t.id = s.id WHEN MATCHED THEN UPDATE SET n = s.n":         false,
		"CALL book(?)": false,
		"/* a note */ UPDATE t SET a = 'it''s' WHERE id = 1": true,
		"UPDATE t SET (a, b) = (SELECT 1, 2) WHERE id = 1":   false,
		"UPDATE \"t\" SET \"n\" = \"n\" + 1 WHERE id = 1":    false,
		"UPDATE t SET a = ?": true,
		"INSERT INTO t (a) VALUES ('on conflict do nothing')":                                   false,
		"INSERT INTO t (a, n) VALUES (?, ?) ON CONFLICT (a) DO UPDATE SET n = ? WHERE t.n <> ?": true,
	} {
		if got := Repeats(query); got != want {
			t.Errorf("Repeats(%q) is %v", query, got)
		}
	}
}

func TestChangesState(t *testing.T) {
	for query, want := range map[string]bool{
		"SELECT 1": false, "  select * from t": false, "SELECT a INTO b FROM c": true, "WITH x AS (SELECT 1) SELECT * FROM x": false,
		"WITH x AS (SELECT 1) UPDATE t SET a = 1": true, "INSERT INTO t VALUES (1)": true, "BEGIN IMMEDIATE;": false,
		"PRAGMA journal_mode = WAL": false, "SELECT ' INTO '": false, "CALL f()": true, "COMMIT;": false, "ROLLBACK TO a": false,
	} {
		if got := changesState(query); got != want {
			t.Errorf("changesState(%q) is %v", query, got)
		}
	}
}
