package identity

import "strings"

// device is what the login's person knows the device as: the name that an app gave it, or the browser.
func (l Login) device() string {
	if l.Kind == KindMobile {
		return l.UserAgent
	}
	return describeAgent(l.UserAgent)
}

// deviceForMail is device in words of ours: whoever signs in chooses an app's name, and mail must not carry it on.
func (l Login) deviceForMail() string {
	if l.Kind == KindMobile {
		return "A mobile app"
	}
	return describeAgent(l.UserAgent)
}

// describeAgent is a browser's header in few words. It is a hint for its owner, so a guess is enough.
func describeAgent(ua string) string {
	first := func(marks ...string) string {
		for i := 0; i < len(marks); i += 2 {
			if strings.Contains(ua, marks[i]) {
				return marks[i+1]
			}
		}
		return ""
	}
	browser := first("Edg/", "Edge", "OPR/", "Opera", "Firefox/", "Firefox", "Chrome/", "Chrome", "CriOS/", "Chrome", "Safari/", "Safari", "curl/", "curl")
	system := first("iPhone", "iPhone", "iPad", "iPad", "Android", "Android", "Windows", "Windows", "Mac OS X", "macOS", "CrOS", "ChromeOS", "Linux", "Linux")
	switch {
	case browser != "" && system != "":
		return browser + " on " + system
	case browser+system != "":
		return browser + system
	}
	return "Unknown browser"
}
