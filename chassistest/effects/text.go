package effects

import (
	"regexp"
	"strings"
)

// What the text of a statement says. It is read as a person reads it, without the
// grammar of a database: what is not understood is not taken for harmless.

// verb is the first word of a statement, in capitals. The one behind WITH is found
// too.
func verb(query string) string {
	query = plain(query)
	first, rest, _ := strings.Cut(query, " ")
	if first != "WITH" {
		return strings.TrimSuffix(first, ";")
	}
	for _, word := range words.FindAllString(rest, -1) {
		switch word {
		case "INSERT", "UPDATE", "DELETE", "MERGE", "REPLACE":
			return word
		}
	}
	return "SELECT"
}

var (
	words    = regexp.MustCompile(`[A-Z_][A-Z_0-9$]*`)
	comments = regexp.MustCompile(`(?s)--[^\n]*|/\*.*?\*/`)
	literals = regexp.MustCompile(`'(?:[^']|'')*'`)
)

// plain is a statement in capitals, in one line, without comments and without what
// stands in quotes.
func plain(query string) string {
	query = literals.ReplaceAllString(comments.ReplaceAllString(query, " "), "''")
	return strings.ToUpper(strings.Join(strings.Fields(query), " "))
}

// changesState reports whether a statement may change what is stored.
func changesState(query string) bool {
	switch verb(query) {
	case "SELECT":
		text := plain(query)
		return strings.Contains(text, " INTO ") // SELECT … INTO a new table
	case "BEGIN", "START", "COMMIT", "END", "ROLLBACK", "SAVEPOINT", "RELEASE", "SHOW", "EXPLAIN", "DESCRIBE",
		"PRAGMA", "SET", "VALUES", "TABLE", "USE", "LOCK", "ANALYZE", "DISCARD", "DEALLOCATE":
		return false
	}
	return true
}

// Repeats reports whether a statement with the same arguments changes nothing when
// it is made again, as far as its text says so.
func Repeats(query string) bool {
	text := plain(query)
	switch verb(query) {
	case "DELETE", "TRUNCATE", "REPLACE":
		return true
	case "UPDATE":
		return absolute(assigned(text))
	case "INSERT":
		if strings.HasPrefix(text, "INSERT OR IGNORE") || strings.HasPrefix(text, "INSERT OR REPLACE") ||
			strings.HasPrefix(text, "INSERT IGNORE") {
			return true
		}
		if _, rest, ok := strings.Cut(text, " ON CONFLICT"); ok {
			return strings.Contains(rest, "DO NOTHING") || absolute(assigned(rest))
		}
		if _, rest, ok := strings.Cut(text, " ON DUPLICATE KEY UPDATE"); ok {
			return absolute(" SET " + rest)
		}
	case "CREATE", "DROP":
		return strings.Contains(text, " IF NOT EXISTS") || strings.Contains(text, " IF EXISTS")
	}
	return false
}

// assigned is the part of a statement between SET and WHERE.
func assigned(text string) string {
	_, rest, ok := strings.Cut(text, " SET ")
	if !ok {
		return ""
	}
	rest, _, _ = strings.Cut(rest, " WHERE ")
	rest, _, _ = strings.Cut(rest, " RETURNING ")
	return " SET " + rest
}

// absolute reports whether assignments take their values from arguments and literals
// alone: nothing on a right side is a column or a function.
func absolute(set string) bool {
	set, ok := strings.CutPrefix(set, " SET ")
	if !ok || set == "" {
		return false
	}
	for _, part := range split(set) {
		_, value, ok := strings.Cut(part, "=")
		if !ok {
			return false
		}
		for _, at := range names.FindAllString(value, -1) {
			switch at = strings.TrimSpace(at); {
			case strings.HasPrefix(at, "EXCLUDED."), strings.HasPrefix(at, ":"), strings.HasPrefix(at, "@"),
				strings.HasPrefix(at, "$"):
			case at == "NULL", at == "TRUE", at == "FALSE", at == "DEFAULT":
			default:
				return false
			}
		}
	}
	return true
}

// names finds names and parameters, each with its mark and its table.
var names = regexp.MustCompile(`[:@$]?["` + "`" + `]?[A-Z_][A-Z_0-9.]*`)

// split splits assignments at the commas outside of parentheses.
func split(set string) []string {
	var parts []string
	depth, from := 0, 0
	for i, c := range set {
		switch c {
		case '(':
			depth++
		case ')':
			depth--
		case ',':
			if depth == 0 {
				parts = append(parts, set[from:i])
				from = i + 1
			}
		}
	}
	return append(parts, set[from:])
}
