// Package spelling finds the name that a wrong one most likely was meant to be: of a
// setting, a file, a task.
//
//	if likely := spelling.Nearest("task_pol", keys); likely != "" {
//		problem += ", did you mean " + likely + "?"
//	}
//
// All functions are pure and safe from any goroutine.
package spelling

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// Nearest returns the known name that unknown is most likely a misspelling of, or "" if none is near: a case or
// separator written another way counts nothing, then the fewest edits win, then the longest common beginning.
func Nearest(unknown string, known []string) string {
	best, bestScore := "", 1<<30
	plain := squash(unknown)
	limit := editLimit(utf8.RuneCountInString(unknown))
	for _, k := range known {
		if k == unknown || k == "" {
			continue
		}
		d := 0
		if squash(k) != plain {
			d = distance(unknown, k, limit)
			if d > limit {
				continue
			}
		}
		score := d*64 - common(unknown, k)
		if len(k) == len(unknown) {
			score-- // a swap or a wrong key is likelier than a lost letter
		}
		if score < bestScore || score == bestScore && k < best {
			best, bestScore = k, score
		}
	}
	return best
}

// editLimit is how many edits still make a misspelling: one for a short word, for any two short words are near
// each other.
func editLimit(length int) int {
	switch {
	case length <= 1:
		return 0
	case length <= 4:
		return 1
	case length <= 8:
		return 2
	default:
		return 3
	}
}

// squash drops what people vary: case, and what stands between words.
func squash(s string) string { return strings.ToLower(betweenWords.Replace(s)) }

var betweenWords = strings.NewReplacer("_", "", "-", "", " ", "", ".", "")

// distance is the optimal string alignment distance (insert, delete, replace, swap of neighbours), or limit+1
// once it must be more.
func distance(a, b string, limit int) int {
	ra, rb := []rune(a), []rune(b)
	if d := len(ra) - len(rb); d > limit || -d > limit {
		return limit + 1
	}
	two, one, cur := make([]int, len(rb)+1), make([]int, len(rb)+1), make([]int, len(rb)+1)
	for j := range one {
		one[j] = j
	}
	for i := 1; i <= len(ra); i++ {
		cur[0] = i
		for j := 1; j <= len(rb); j++ {
			cost := 1
			if ra[i-1] == rb[j-1] {
				cost = 0
			}
			cur[j] = min(one[j]+1, cur[j-1]+1, one[j-1]+cost)
			if i > 1 && j > 1 && ra[i-1] == rb[j-2] && ra[i-2] == rb[j-1] {
				cur[j] = min(cur[j], two[j-2]+1)
			}
		}
		if slices.Min(cur) > limit {
			return limit + 1
		}
		two, one, cur = one, cur, two
	}
	return one[len(rb)]
}

// common counts the bytes that a and b share at their beginning and at their end, each up to 31.
func common(a, b string) (n int) {
	for i := 0; i < min(31, len(a), len(b)) && a[i] == b[i]; i++ {
		n++
	}
	for i := 1; i <= min(31, len(a), len(b)) && a[len(a)-i] == b[len(b)-i]; i++ {
		n++
	}
	return n
}
