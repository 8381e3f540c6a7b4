"""One module for each kind of page: functions of the site and a request."""
