package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/doctor"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/terminal"
)

func newDoctor(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Check beanstalkd, folders, permissions, programs, disk and clock, and say what to do",
		Long: `Check beanstalkd, folders, permissions, programs, disk and clock, and say what to
do. The settings are those of the environment and of --env-file. Where neither
has any, and systemd has a unit runnerbean.service, they are those of the unit;
root then checks with the rights of the user that the unit names.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			service, err := doctor.ConsultService(a.envFile)
			if err != nil {
				return err
			}
			set, err := settings.Read()
			if err != nil {
				return err
			}
			findings := append(service, doctor.Examine(cmd.Context(), set)...)
			if err := printFindings(a, findings); err != nil {
				return err
			}
			for _, f := range findings {
				if f.Status == "error" {
					return errors.New("a check has failed: see above")
				}
			}
			return nil
		},
	}
}

func printFindings(a *app, findings []doctor.Finding) error {
	if a.json {
		return terminal.PrintJSON(a.stdout, findings)
	}
	marks := map[string]string{"ok": "✓", "warning": "!", "error": "✗"}
	for _, f := range findings {
		fmt.Fprintf(a.stdout, "%s %-12s %s\n", marks[f.Status], f.Check, f.Detail)
		if f.Do != "" {
			fmt.Fprintf(a.stdout, "  %-12s → %s\n", "", f.Do)
		}
	}
	return nil
}
