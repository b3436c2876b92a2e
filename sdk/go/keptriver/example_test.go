package keptriver_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/riverqueue/river/rivertype"
	_ "modernc.org/sqlite"

	kept "github.com/kept-dev/kept/sdk/go"
	"github.com/kept-dev/kept/sdk/go/keptriver"
)

type Resize struct {
	File  string `json:"file"`
	Token string `json:"token"`
}

func (Resize) Kind() string { return "resize" }

func resize(ctx context.Context, job *river.Job[Resize]) error {
	keptriver.Log(ctx, "resizing "+job.Args.File, nil)
	return river.RecordOutput(ctx, map[string]int{"width": 640})
}

func Example() {
	ctx := context.Background()
	server := printing() // a Kept server
	defer server.Close()
	db := openDB(ctx)
	defer db.Close()

	client, err := kept.New(kept.Config{Endpoint: server.URL, APIKey: "kept_0123456789"})
	if err != nil {
		log.Print(err) // and go on: a nil client reports nothing
	}
	hook := keptriver.New(client)
	workers := river.NewWorkers()
	river.AddWorker(workers, river.WorkFunc(resize))
	riverClient, err := river.NewClient(riversqlite.New(db), &river.Config{
		Middleware: []rivertype.Middleware{hook},
		Queues:     map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: 10}},
		Workers:    workers,
	})
	if err != nil {
		log.Fatal(err)
	}
	stop := hook.Watch(riverClient)
	completed, _ := riverClient.Subscribe(river.EventKindJobCompleted)
	if err := riverClient.Start(ctx); err != nil {
		log.Fatal(err)
	}

	if _, err := riverClient.Insert(ctx, Resize{File: "a.png", Token: "abc"}, nil); err != nil {
		log.Fatal(err)
	}
	<-completed

	riverClient.Stop(ctx)
	stop()
	client.Close(ctx)
	// Output:
	// resize waiting {"file":"a.png","token":"[REDACTED]"}
	// resize active {"file":"a.png","token":"[REDACTED]"}
	// resize progress {"message":"resizing a.png"}
	// resize completed {"width":640}
}

func printing() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Events []struct {
				JobName, Event string
				Data           struct{ Input, ReturnValue, Log json.RawMessage }
			}
		}
		json.NewDecoder(r.Body).Decode(&body)
		for _, e := range body.Events {
			fmt.Printf("%s %s %s%s%s\n", e.JobName, e.Event, e.Data.Input, e.Data.ReturnValue, e.Data.Log)
		}
	}))
}

func openDB(ctx context.Context) *sql.DB {
	db, err := sql.Open("sqlite", "file::memory:")
	if err != nil {
		log.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	migrator, err := rivermigrate.New(riversqlite.New(db), nil)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		log.Fatal(err)
	}
	return db
}
