package config

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

// Parser makes a kong parser for a command line whose flags may also come from src. Help names each flag's variable.
func Parser(cli any, src *Source, options ...kong.Option) (*kong.Kong, error) {
	options = append([]kong.Option{kong.Resolvers(src), kong.ValueFormatter(formatHelp), kong.UsageOnError()}, options...)
	return kong.New(cli, options...)
}

func formatHelp(v *kong.Value) string {
	help := strings.TrimSuffix(kong.DefaultHelpValueFormatter(v), ".")
	if v.Flag == nil || v.Flag.Name == "help" {
		return help + "."
	}
	if v.HasDefault && v.Default != "" {
		return help + " (default " + v.Default + ", $" + Key(v.Flag.Name) + ")."
	}
	return help + " ($" + Key(v.Flag.Name) + ")."
}

// Default is the Config of a command line without flags. It panics when a default of ours is wrong.
func Default() Config {
	var cfg Config
	parser, err := kong.New(&cfg)
	if err == nil {
		_, err = parser.Parse(nil)
	}
	if err != nil {
		panic(fmt.Sprintf("config: the defaults do not parse: %v", err))
	}
	return cfg
}

// Load reads a Config without a command line: the environment as os.Environ has it, and a file unless path is empty.
func Load(environ []string, path string) (Config, error) {
	var cfg Config
	var args []string
	if path != "" {
		args = []string{"--" + fileFlag, path}
	}
	src, err := NewSource(args, environ)
	if err != nil {
		return Config{}, err
	}
	parser, err := kong.New(&cfg, kong.Resolvers(src))
	if err != nil {
		return Config{}, err
	}
	if _, err := parser.Parse(nil); err != nil {
		return Config{}, err
	}
	return cfg, nil
}
