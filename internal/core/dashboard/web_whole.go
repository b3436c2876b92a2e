package dashboard

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
	"github.com/kept-dev/kept/internal/ui"
)

func duplicateForm(ws kernel.WorkspaceID, s subject, title string) ui.Form {
	base := dashHref(ws, s.ID)
	return ui.Form{Action: base + "/duplicate", Narrow: true, Submit: "Duplicate", Cancel: base,
		Fields: []ui.Field{{Name: "title", Label: "Title of the copy", Value: title, Required: true, MaxLength: maxTitle, Autofocus: true}}}
}

func (m *Module) duplicatePage(w http.ResponseWriter, r *http.Request) error {
	s, err := m.subjectOf(r)
	if err != nil {
		return err
	}
	ws := httpx.ActorOf(r.Context()).WorkspaceID
	return m.formPage(w, r, http.StatusOK, "Duplicate "+s.D.Title, "", crumbs(ws, s), duplicateForm(ws, s, clip(s.D.Title, maxTitle-10)+" (copy)"))
}

func (m *Module) duplicate(w http.ResponseWriter, r *http.Request) error {
	s, err := m.subjectOf(r)
	if err != nil {
		return err
	}
	form, err := httpx.ReadForm(r)
	if err != nil {
		return err
	}
	a := httpx.ActorOf(r.Context())
	d := s.D.clone()
	d.Title = strings.TrimSpace(form.Get("title"))
	if d, err = Decode(d.Encode()); err != nil {
		refused, err := again(duplicateForm(a.WorkspaceID, s, form.Get("title")), err)
		if err != nil {
			return err
		}
		return m.formPage(w, r, http.StatusUnprocessableEntity, "Duplicate "+s.D.Title, "", crumbs(a.WorkspaceID, s), refused)
	}
	made, err := m.create(r.Context(), a.WorkspaceID, a.AccountID, d, "a copy of "+clip(s.D.Title, 100))
	if err != nil {
		return err
	}
	if err := m.d.Audit(r.Context(), "dashboard.create", string(made.ID), made.Title); err != nil {
		return err
	}
	return respond.SeeOther(w, r, dashHref(a.WorkspaceID, string(made.ID))+"/edit")
}

func (m *Module) deletePage(w http.ResponseWriter, r *http.Request) error {
	f, err := m.stored(r)
	if err != nil {
		return err
	}
	return m.formPage(w, r, http.StatusOK, "Delete "+f.D.Title+"?", "It can be brought back for 30 days.", crumbs(f.WS, f.subject),
		ui.Form{Action: f.Base + "/delete", Submit: "Delete the dashboard", Danger: true, Cancel: f.Base + "/edit"})
}

func (m *Module) deleteOne(w http.ResponseWriter, r *http.Request) error {
	f, err := m.stored(r)
	if err != nil {
		return err
	}
	if err := m.remove(r.Context(), f.WS, f.ID, true); err != nil {
		return err
	}
	if err := m.d.Audit(r.Context(), "dashboard.delete", f.ID, f.D.Title); err != nil {
		return err
	}
	return respond.SeeOther(w, r, homeHref(f.WS)+"?done=deleted")
}

func (m *Module) restoreOne(w http.ResponseWriter, r *http.Request) error {
	ws, id := httpx.ActorOf(r.Context()).WorkspaceID, r.PathValue("id")
	if !kernel.ValidID(id) {
		return errNoDashboard
	}
	if err := m.remove(r.Context(), ws, id, false); err != nil {
		return err
	}
	if err := m.d.Audit(r.Context(), "dashboard.restore", id, ""); err != nil {
		return err
	}
	return respond.SeeOther(w, r, dashHref(ws, id)+"?done=restored")
}

// noteForm is the form under the charts. It comes with the middle of what is looked at.
func (f frame) noteForm() *ui.Form {
	at := f.Range.To
	form := noteFields(f.Base, f.Stored == nil, url.Values{"at": {at.UTC().Format("2006-01-02T15:04:05")}})
	return &form
}

func noteFields(base string, everywhere bool, in url.Values) ui.Form {
	form := ui.Form{Action: base + "/notes", Narrow: true, Submit: "Add the note", Fields: []ui.Field{
		{Name: "text", Label: "What happened", Value: in.Get("text"), Required: true, MaxLength: maxNoteText},
		{Name: "at", Label: "When (UTC)", Kind: "datetime-local", Value: in.Get("at"), Required: true},
		{Name: "until", Label: "Until (UTC)", Kind: "datetime-local", Value: in.Get("until"), Hint: "For something that lasted."},
	}}
	if !everywhere {
		form.Fields = append(form.Fields, ui.Field{Name: "everywhere", Label: "On all dashboards", Kind: "checkbox", Checked: in.Get("everywhere") != ""})
	}
	return form
}

func (m *Module) createNote(w http.ResponseWriter, r *http.Request) error {
	s, err := m.subjectOf(r)
	if err != nil {
		return err
	}
	form, err := httpx.ReadForm(r)
	if err != nil {
		return err
	}
	a := httpx.ActorOf(r.Context())
	base := dashHref(a.WorkspaceID, s.ID)
	n, err := readNote(form)
	if err == nil {
		n.CreatedBy = a.AccountID
		if s.Stored != nil && form.Get("everywhere") == "" {
			n.Dashboard = s.Stored.ID
		}
		n, err = m.addNote(r.Context(), a.WorkspaceID, n)
	}
	if err != nil {
		refused, err := again(noteFields(base, s.Stored == nil, form), err)
		if err != nil {
			return err
		}
		refused.Cancel = base
		return m.formPage(w, r, http.StatusUnprocessableEntity, "Add a note", "", crumbs(a.WorkspaceID, s), refused)
	}
	if err := m.d.Audit(r.Context(), "dashboard.note", string(n.ID), ""); err != nil {
		return err
	}
	return respond.SeeOther(w, r, base+"?done=note")
}

func readNote(form url.Values) (n Note, err error) {
	n.Text = form.Get("text")
	if n.At, err = httpx.ReadTime(form.Get("at")); err != nil {
		return n, kernel.InvalidField("at", "This is no moment.")
	}
	if n.Until, err = httpx.ReadTime(form.Get("until")); err != nil {
		return n, kernel.InvalidField("until", "This is no moment.")
	}
	return n, nil
}

func (m *Module) deleteNote(w http.ResponseWriter, r *http.Request) error {
	s, err := m.subjectOf(r)
	if err != nil {
		return err
	}
	ws := httpx.ActorOf(r.Context()).WorkspaceID
	if err := m.removeNote(r.Context(), ws, r.PathValue("note")); err != nil {
		return err
	}
	if err := m.d.Audit(r.Context(), "dashboard.note_remove", r.PathValue("note"), ""); err != nil {
		return err
	}
	return respond.SeeOther(w, r, dashHref(ws, s.ID)+"?done=note-removed")
}
