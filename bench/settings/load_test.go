// Package settings_test measures loading four layers of 60 keys into a struct,
// side by side with the raw parsers and the peers.
//
// Run it by: go test -bench Load -benchmem ./settings
package settings_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	burnt "github.com/BurntSushi/toml"
	"github.com/caarlos0/env/v11"
	koanftoml "github.com/knadh/koanf/parsers/toml/v2"
	koanfyaml "github.com/knadh/koanf/parsers/yaml"
	koanfenv "github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/viper"
	"gopkg.in/yaml.v3"

	"github.com/sambatech/chassis/settings"
)

// section has ten keys of the types that settings have.
type section struct {
	Name     string   `yaml:"name" toml:"name" json:"name" env:"NAME"`
	Host     string   `yaml:"host" toml:"host" json:"host" env:"HOST"`
	Port     int      `yaml:"port" toml:"port" json:"port" env:"PORT"`
	Workers  int      `yaml:"workers" toml:"workers" json:"workers" env:"WORKERS"`
	Limit    int64    `yaml:"limit" toml:"limit" json:"limit" env:"LIMIT"`
	Ratio    float64  `yaml:"ratio" toml:"ratio" json:"ratio" env:"RATIO"`
	Enabled  bool     `yaml:"enabled" toml:"enabled" json:"enabled" env:"ENABLED"`
	Path     string   `yaml:"path" toml:"path" json:"path" env:"PATH"`
	Language string   `yaml:"language" toml:"language" json:"language" env:"LANGUAGE"`
	Tags     []string `yaml:"tags" toml:"tags" json:"tags" env:"TAGS"`
}

type config struct {
	Tasks   section `yaml:"tasks" toml:"tasks" json:"tasks" envPrefix:"TASKS__"`
	Breaker section `yaml:"breaker" toml:"breaker" json:"breaker" envPrefix:"BREAKER__"`
	Logger  section `yaml:"logger" toml:"logger" json:"logger" envPrefix:"LOGGER__"`
	Admin   section `yaml:"admin" toml:"admin" json:"admin" envPrefix:"ADMIN__"`
	Queue   section `yaml:"queue" toml:"queue" json:"queue" envPrefix:"QUEUE__"`
	Mail    section `yaml:"mail" toml:"mail" json:"mail" envPrefix:"MAIL__"`
}

func layer(i int) config {
	s := func(k int) section {
		return section{Name: fmt.Sprint("name-", i, k), Host: "host.example.org", Port: 8000 + i, Workers: 4 + k, Limit: 1 << 40, Ratio: 0.25 * float64(i+1),
			Enabled: true, Path: "/var/lib/service", Language: "en", Tags: []string{"a", "b" + fmt.Sprint(i)}}
	}
	return config{s(0), s(1), s(2), s(3), s(4), s(5)}
}

func write(b testing.TB, dir, name string, c config) string {
	path := filepath.Join(dir, name)
	var text []byte
	var err error
	switch filepath.Ext(name) {
	case ".yaml":
		text, err = yaml.Marshal(c)
	case ".json":
		text, err = json.MarshalIndent(c, "", "  ")
	case ".toml":
		var sb strings.Builder
		err = burnt.NewEncoder(&sb).Encode(c)
		text = []byte(sb.String())
	}
	if err == nil {
		err = os.WriteFile(path, text, 0o600)
	}
	if err != nil {
		b.Fatal(err)
	}
	return path
}

func setEnv(b testing.TB, c config) {
	v := reflect.ValueOf(c)
	for i := range v.NumField() {
		s := v.Field(i)
		for j := range s.NumField() {
			name := "BENCH_" + strings.ToUpper(v.Type().Field(i).Name) + "__" + strings.ToUpper(s.Type().Field(j).Name)
			text := fmt.Sprint(s.Field(j).Interface())
			if tags, ok := s.Field(j).Interface().([]string); ok {
				text = strings.Join(tags, ",")
			}
			b.Setenv(name, text)
		}
	}
}

// A loader reads the files, the weakest first, and then the environment if env.
type loader struct {
	name string
	load func(files []string, env bool) (config, error)
}

var loaders = []loader{
	{"ours", ours}, {"raw", raw}, {"koanf", byKoanf}, {"viper", byViper},
}

func ours(files []string, env bool) (config, error) {
	options := make([]settings.Option, 0, 5)
	for _, f := range files {
		options = append(options, settings.File(f))
	}
	if env {
		options = append(options, settings.Env("BENCH"))
	}
	return settings.Load(config{}, options...)
}

func raw(files []string, useEnv bool) (c config, err error) {
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			return c, err
		}
		switch filepath.Ext(f) {
		case ".yaml":
			err = yaml.Unmarshal(text, &c)
		case ".json":
			err = json.Unmarshal(text, &c)
		case ".toml":
			err = burnt.Unmarshal(text, &c)
		}
		if err != nil {
			return c, err
		}
	}
	if useEnv {
		err = env.ParseWithOptions(&c, env.Options{Prefix: "BENCH_"})
	}
	return c, err
}

type jsonParser struct{}

func (jsonParser) Unmarshal(b []byte) (m map[string]any, err error) { return m, json.Unmarshal(b, &m) }
func (jsonParser) Marshal(m map[string]any) ([]byte, error)         { return json.Marshal(m) }

func byKoanf(files []string, useEnv bool) (c config, err error) {
	k := koanf.New(".")
	for _, f := range files {
		var p koanf.Parser
		switch filepath.Ext(f) {
		case ".yaml":
			p = koanfyaml.Parser()
		case ".json":
			p = jsonParser{}
		case ".toml":
			p = koanftoml.Parser()
		}
		if err := k.Load(file.Provider(f), p); err != nil {
			return c, err
		}
	}
	if useEnv {
		err := k.Load(koanfenv.Provider(".", koanfenv.Opt{Prefix: "BENCH_", TransformFunc: func(name, value string) (string, any) {
			name = strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(name, "BENCH_")), "__", ".")
			if strings.HasSuffix(name, ".tags") {
				return name, strings.Split(value, ",")
			}
			return name, value
		}}), nil)
		if err != nil {
			return c, err
		}
	}
	return c, k.UnmarshalWithConf("", &c, koanf.UnmarshalConf{Tag: "yaml"})
}

func byViper(files []string, useEnv bool) (c config, err error) {
	v := viper.NewWithOptions(viper.EnvKeyReplacer(strings.NewReplacer(".", "__")))
	if useEnv {
		v.SetEnvPrefix("BENCH")
		v.AutomaticEnv()
	}
	for i, f := range files {
		v.SetConfigFile(f)
		v.SetConfigType(strings.TrimPrefix(filepath.Ext(f), "."))
		if i == 0 {
			err = v.ReadInConfig()
		} else {
			err = v.MergeInConfig()
		}
		if err != nil {
			return c, err
		}
	}
	return c, v.Unmarshal(&c)
}

func setUp(b testing.TB, mixed bool) (files []string, useEnv bool, want config) {
	dir := b.TempDir()
	exts := []string{"yaml", "yaml", "yaml", "yaml"}
	if mixed {
		exts = []string{"yaml", "toml", "json"}
		setEnv(b, layer(3))
	}
	for i, ext := range exts {
		files = append(files, write(b, dir, "c"+strconv.Itoa(i)+"."+ext, layer(i)))
	}
	return files, mixed, layer(3)
}

func benchmark(b *testing.B, mixed bool) {
	files, env, want := setUp(b, mixed)
	for _, l := range loaders {
		b.Run(l.name, func(b *testing.B) {
			b.ReportAllocs()
			var got config
			for b.Loop() {
				var err error
				if got, err = l.load(files, env); err != nil {
					b.Fatal(err)
				}
			}
			if !reflect.DeepEqual(got, want) {
				b.Fatalf("loaded %+v", got)
			}
		})
	}
}

// BenchmarkLoadYAML is four yaml files of 60 keys, each over the one before.
func BenchmarkLoadYAML(b *testing.B) { benchmark(b, false) }

// BenchmarkLoadMixed is yaml, then toml, then json, then the environment.
func BenchmarkLoadMixed(b *testing.B) { benchmark(b, true) }
