package ui_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/kept-dev/kept/internal/ui"
	"github.com/kept-dev/kept/internal/ui/uitest"
)

// serve serves the gallery at /ui under the strict policy.
func serve(t *testing.T) string {
	t.Helper()
	u, err := ui.New(ui.Config{Apps: testApps, Frame: testFrame})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/ui", u.Gallery)
	mux.Handle(ui.AssetPrefix, u.Assets())
	mux.Handle("/ended", http.RedirectHandler("/sign-in", http.StatusSeeOther))
	mux.HandleFunc("/sign-in", func(w http.ResponseWriter, r *http.Request) {
		if err := u.Error(w, r, ui.ErrorView{Status: http.StatusUnauthorized}); err != nil {
			t.Error(err)
		}
	})
	mux.HandleFunc("/broken", func(w http.ResponseWriter, r *http.Request) {
		if err := u.Error(w, r, ui.ErrorView{Status: http.StatusInternalServerError}); err != nil {
			t.Error(err)
		}
	})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", ui.ContentSecurityPolicy)
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { srv.CloseClientConnections(); srv.Close() })
	return srv.URL
}

var testApps = []ui.App{
	{Key: "jobs", Label: "Jobs", Icon: "jobs", Order: 1}, {Key: "replay", Label: "Replay", Icon: "replay", Order: 2},
	{Key: "metrics", Label: "Metrics", Icon: "chart", Order: 3}, {Key: "career", Label: "Career", Icon: "briefcase", Order: 4},
	{Key: "settings", Label: "Workspace settings", Icon: "settings", Order: 5, Menu: true},
}

func testFrame(*http.Request) ui.Frame {
	return ui.Frame{
		Viewer: &ui.Viewer{Email: "ada@example.com", Name: "Ada Lovelace", Workspace: "Acme", WorkspaceHref: "/w/acme", SignOut: "/sign-out",
			Workspaces: []ui.Link{{Label: "Side project", Href: "/w/side"}}},
		Nav: ui.ExpandNav([]ui.NavItem{{App: "jobs", Label: "Jobs", Href: "/w/{ws}/jobs"}, {App: "replay", Label: "Recordings", Href: "/w/{ws}/recordings"},
			{App: "metrics", Label: "Dashboards", Href: "/w/{ws}/dashboards"}, {App: "career", Label: "Board", Href: "/w/{ws}/board"},
			{App: "settings", Label: "General", Href: "/w/{ws}/settings"}}, "acme"),
	}
}

var looks = []struct {
	width int64
	dark  bool
}{{1280, false}, {1280, true}, {390, false}, {390, true}}

// One Chromium serves all tests; each tab has a profile of its own.
func TestInChromium(t *testing.T) {
	t.Parallel()
	browser, url := uitest.Start(t), serve(t)
	for name, test := range map[string]func(*testing.T, *uitest.Browser, string){
		"gallery":                              testGallery,
		"filters live in the address":          testFiltersLiveInTheAddress,
		"live updates keep what is open":       testLiveUpdatesKeepWhatIsOpen,
		"theme is chosen and kept":             testThemeIsChosenAndKept,
		"menus and dialogs":                    testMenusAndDialogs,
		"toasts come by header":                testToastsComeByHeader,
		"failed submit moves the focus":        testFailedSubmitMovesTheFocus,
		"times are in the viewers zone":        testTimesAreInTheViewersZone,
		"chart draws from its table":           testChartDrawsFromItsTable,
		"without scripts":                      testWithoutScripts,
		"other pages":                          testOtherPages,
		"parts that fail leave the page alone": testPartsThatFailLeaveThePageAlone,
		"nothing is compiled":                  testNothingIsCompiled,
		"charts answer":                        testChartsAnswer,
		"charts fetch":                         testChartsFetch,
		"range":                                testRange,
		"promql editor":                        testPromQLEditor,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, browser, url)
		})
	}
}

func testGallery(t *testing.T, b *uitest.Browser, url string) {
	page := b.Open(t, url+"/ui")
	page.Wait(t, `document.querySelector("kept-chart canvas")`)
	for _, look := range looks {
		t.Run(fmt.Sprintf("%d dark=%v", look.width, look.dark), func(t *testing.T) {
			page.Size(t, look.width, 900)
			page.Dark(t, look.dark)
			order := page.FocusOrder(t, 400)
			if len(order) < 40 {
				t.Errorf("the keyboard reaches only %d controls: %v", len(order), order)
			}
			for _, missed := range page.Unreached(t) {
				t.Errorf("the keyboard does not reach %s", missed)
			}
		})
	}
	page.Run(t, "document.activeElement.blur(); scrollTo(0, 0)")
	page.LookAll(t, "gallery")
}
