package settings

import (
	"encoding"
	"errors"
	"fmt"
	"math"
	"math/big"
	"net/url"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/sambatech/chassis/internal/spelling"
	"github.com/sambatech/chassis/settings/internal/source"
)

// A scalarFunc puts a value's text into v, or returns what is wrong. It must not quote the text itself: the
// caller knows whether it is a secret.
type scalarFunc func(n *source.Node, v reflect.Value) *misfit

// misfit is why a value does not fit its type.
type misfit struct {
	problem    string // in place of "expected …, found"
	hint       string // after what was found
	suggestion string
	err        error
}

var errNotThis = &misfit{}

// numeral returns a number without underscores, and 0 for its base if it may not be decimal: 0x1f, 0o17, 017
// (octal in yaml 1.1, and in the Python chassis), 0b11, 1_000.
func numeral(text string) (string, int) {
	if t := strings.TrimLeft(text, "+-"); len(t) > 1 && (t[0] == '0' || strings.Contains(t, "_")) {
		return strings.ReplaceAll(text, "_", ""), 0
	}
	return text, 10
}

func parseInt(text string, bits int) (int64, error) {
	text, base := numeral(text)
	return strconv.ParseInt(text, base, bits)
}

func parseUint(text string, bits int) (uint64, error) {
	text, base := numeral(strings.TrimPrefix(text, "+"))
	return strconv.ParseUint(text, base, bits)
}

func parseFloat(text string, bits int) (float64, error) {
	switch strings.TrimLeft(strings.ToLower(text), "+-") {
	case ".inf", "inf", "infinity":
		return math.Inf(1 - 2*strings.Count(text[:1], "-")), nil
	case ".nan", "nan":
		return math.NaN(), nil
	}
	return strconv.ParseFloat(strings.ReplaceAll(text, "_", ""), bits)
}

// wholeText returns the text of an int, or that of a float without a fraction.
func wholeText(n *source.Node) (string, bool) {
	switch n.Kind {
	case source.Int:
		if n.Text == "-0" {
			return "0", true
		}
		return n.Text, true
	case source.Text:
		t := decimal(strings.TrimSpace(n.Text))
		return t, t != ""
	case source.Float:
		f, err := parseFloat(n.Text, 64)
		if err != nil || f != math.Trunc(f) || math.Abs(f) >= 1e20 {
			return "", false
		}
		if exact, ok := new(big.Rat).SetString(n.Text); ok && exact.IsInt() {
			return exact.Num().String(), true // a float64 holds 53 bits of it
		}
		return strconv.FormatFloat(f+0, 'f', 0, 64), true // -0.0 becomes 0
	}
	return "", false
}

// decimal removes leading zeros: the 010 of a variable or a string is ten.
func decimal(text string) string {
	digits := strings.TrimLeft(text, "+-")
	if sign := text[:len(text)-len(digits)]; len(digits) > 1 && isDecimal(digits) {
		for len(digits) > 1 && digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9' {
			digits = digits[1:]
		}
		return sign + digits
	}
	return text
}

// bare is a value's text, a variable's without blanks around it.
func bare(n *source.Node) string {
	if n.Kind == source.Text {
		return strings.TrimSpace(n.Text)
	}
	return n.Text
}

// setWhole sets an int or uint of any size.
func setWhole(n *source.Node, v reflect.Value) *misfit {
	text, ok := wholeText(n)
	if !ok {
		return quotedNumber(n)
	}
	bits, least, most := v.Type().Bits(), int64(0), uint64(math.MaxUint64)
	most >>= 64 - bits
	var err error
	if v.CanInt() {
		var i int64
		if i, err = parseInt(text, bits); err == nil {
			v.SetInt(i)
		}
		least, most = int64(-1)<<(bits-1), most>>1
	} else {
		var u uint64
		if u, err = parseUint(text, bits); err == nil {
			v.SetUint(u)
		}
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, strconv.ErrRange) || !v.CanInt() && strings.HasPrefix(text, "-") && n.Kind != source.Text:
		return &misfit{problem: fmt.Sprintf("expected a whole number from %d to %d, found", least, most)}
	}
	return quotedNumber(n)
}

// quotedNumber is the misfit of a number's place, with a hint if a number stands there in quotes.
func quotedNumber(n *source.Node) *misfit {
	if n.Kind == source.String && !n.Plain {
		if _, err := strconv.ParseFloat(n.Text, 64); err == nil {
			return &misfit{hint: ": take the quotes off"}
		}
	}
	return errNotThis
}

func setFloat(n *source.Node, v reflect.Value) *misfit {
	if n.Kind != source.Int && n.Kind != source.Float && n.Kind != source.Text {
		return quotedNumber(n)
	}
	f, err := parseFloat(strings.TrimSpace(n.Text), v.Type().Bits())
	if _, base := numeral(n.Text); n.Kind == source.Int && base == 0 {
		if i, intErr := parseInt(n.Text, 64); intErr == nil {
			f, err = float64(i), nil
		}
	}
	switch {
	case err != nil && !errors.Is(err, strconv.ErrRange), math.IsNaN(f):
		return errNotThis
	case err != nil || !math.IsInf(f, 0) && v.OverflowFloat(f):
		return &misfit{problem: fmt.Sprintf("expected a number that a %s can hold, found", v.Type().Kind())}
	}
	v.SetFloat(f)
	return nil
}

// boolWords are what yaml 1.1, and the Python chassis, reads as a boolean.
var boolWords = map[string]bool{"true": true, "yes": true, "on": true, "false": false, "no": false, "off": false}

func setBool(n *source.Node, v reflect.Value) *misfit {
	text := strings.ToLower(strings.TrimSpace(n.Text))
	if n.Kind == source.Bool || n.Kind == source.Text || n.Kind == source.String && n.Plain {
		if b, ok := boolWords[text]; ok {
			v.SetBool(b)
			return nil
		}
	}
	switch {
	case n.Kind == source.Text && (text == "1" || text == "0"):
		v.SetBool(text == "1")
		return nil
	case n.Kind != source.String && n.Kind != source.Text:
		return errNotThis
	case text == "true" || text == "false":
		return &misfit{hint: ": take the quotes off"}
	}
	return &misfit{suggestion: spelling.Nearest(text, []string{"true", "false"})}
}

// setString sets a string or a []byte.
func setString(n *source.Node, v reflect.Value) *misfit {
	text, m := stringText(n)
	switch {
	case m != nil:
		return m
	case v.Kind() == reflect.String:
		v.SetString(text)
	default:
		v.SetBytes([]byte(text))
	}
	return nil
}

func stringText(n *source.Node) (string, *misfit) {
	switch n.Kind {
	case source.String, source.Text:
		return n.Text, nil
	case source.Bool, source.Int, source.Float, source.Time:
		if n.Plain {
			return n.Text, nil
		}
		return "", &misfit{hint: ": put it in quotes"}
	}
	return "", errNotThis
}

func setDuration(n *source.Node, v reflect.Value) *misfit {
	if n.Kind != source.Int && n.Kind != source.Float && n.Kind != source.String && n.Kind != source.Text {
		return errNotThis
	}
	text := bare(n)
	parse := parseDuration
	if n.Kind != source.Int && n.Kind != source.Float {
		if text = decimal(text); !isDecimal(text) {
			parse = time.ParseDuration // 1e3 in quotes is no number
		}
	}
	d, err := parse(text)
	if err != nil {
		m := &misfit{suggestion: nearDuration(n.Text)}
		if errors.Is(err, strconv.ErrRange) {
			m.problem = "expected a duration of at most 292 years, found"
		}
		return m
	}
	v.SetInt(int64(d))
	return nil
}

// parseDuration reads 90, 1.5 (seconds), 90s, 1m30s.
func parseDuration(text string) (time.Duration, error) {
	if i, err := parseInt(text, 64); err == nil {
		if i > math.MaxInt64/int64(time.Second) || i < math.MinInt64/int64(time.Second) {
			return 0, strconv.ErrRange
		}
		return time.Duration(i) * time.Second, nil
	}
	if f, err := strconv.ParseFloat(text, 64); err == nil && !math.IsNaN(f) {
		f *= float64(time.Second)
		if math.Abs(f) >= math.MaxInt64 {
			return 0, strconv.ErrRange
		}
		return time.Duration(math.Round(f)), nil
	}
	return time.ParseDuration(text)
}

// isDecimal reports whether a number is written like 90 or -1.5; strconv reads other forms as well.
func isDecimal(text string) bool { return text != "" && strings.Trim(text, "+-.0123456789") == "" }

var (
	wordedDuration = regexp.MustCompile(`([0-9]+(?:\.[0-9]+)?)\s*([a-zµ]+)`)
	durationUnits  = map[string]time.Duration{
		"ms": time.Millisecond, "msec": time.Millisecond, "millis": time.Millisecond, "millisecond": time.Millisecond,
		"s": time.Second, "sec": time.Second, "second": time.Second, "m": time.Minute, "min": time.Minute,
		"minute": time.Minute,
		"h":      time.Hour, "hr": time.Hour, "hour": time.Hour, "d": 24 * time.Hour, "day": 24 * time.Hour,
		"w": 168 * time.Hour, "week": 168 * time.Hour,
	}
)

// nearDuration guesses what "5 minutes", "1d" or "10sec" was meant to be.
func nearDuration(text string) string {
	text = strings.ToLower(strings.TrimSpace(text))
	var total time.Duration
	for _, m := range wordedDuration.FindAllStringSubmatch(text, -1) {
		f, err := strconv.ParseFloat(m[1], 64)
		unit, ok := durationUnits[m[2]]
		if !ok {
			unit, ok = durationUnits[strings.TrimSuffix(m[2], "s")]
		}
		if err != nil || !ok || f > 1e6 {
			return ""
		}
		total += time.Duration(f * float64(unit))
	}
	if total == 0 || strings.TrimSpace(wordedDuration.ReplaceAllString(text, "")) != "" {
		return ""
	}
	return shortDuration(total)
}

// shortDuration is Duration.String without its trailing zero units.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

var timeLayouts = []string{
	time.RFC3339Nano, "2006-1-2T15:4:5.999999999Z07:00", "2006-1-2t15:4:5.999999999Z07:00",
	"2006-1-2 15:4:5.999999999Z07:00",
	"2006-1-2T15:4:5.999999999", "2006-1-2 15:4:5.999999999", "2006-1-2",
}

// parseTime reads RFC 3339 and its relatives; without a zone it is UTC.
func parseTime(text string) (time.Time, error) {
	for _, layout := range timeLayouts {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, errors.New("not a time")
}

func setTime(n *source.Node, v reflect.Value) *misfit {
	if n.Kind != source.Time && n.Kind != source.String && n.Kind != source.Text {
		return errNotThis
	}
	t, err := parseTime(bare(n))
	if err != nil {
		return errNotThis
	}
	v.Set(reflect.ValueOf(t))
	return nil
}

func setURL(n *source.Node, v reflect.Value) *misfit {
	if n.Kind != source.String && n.Kind != source.Text {
		return errNotThis
	}
	u, err := url.Parse(n.Text)
	if err != nil {
		var inner *url.Error
		if errors.As(err, &inner) {
			return &misfit{hint: ": " + unquoted(inner.Err.Error())}
		}
		return errNotThis
	}
	v.Set(reflect.ValueOf(*u))
	return nil
}

// unquoted cuts a message where it begins to quote the value.
func unquoted(msg string) string {
	if i := strings.IndexAny(msg, "\"'`"); i >= 0 {
		msg = strings.TrimRight(msg[:i], " :")
	}
	return msg
}

// setText is for encoding.TextUnmarshaler. Its error may quote the text: it becomes the cause, which is dropped
// for a secret.
func setText(n *source.Node, v reflect.Value) *misfit {
	if n.Kind == source.List || n.Kind == source.Map || n.Kind == source.Null {
		return errNotThis
	}
	text := n.Text // it may be a number: the type judges
	err := guarded("UnmarshalText", func() error {
		return v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text))
	})
	if err != nil {
		m := &misfit{err: err}
		if v.Type() == slogLevel {
			m.suggestion = spelling.Nearest(strings.ToUpper(text), []string{"DEBUG", "INFO", "WARN", "ERROR"})
			m.err = nil
		}
		return m
	}
	return nil
}
