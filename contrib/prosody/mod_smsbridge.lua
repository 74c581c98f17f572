-- mod_smsbridge: what a component's stream (XEP-0114) lacks, for Prosody 0.12 and later. MIT licence, part of smsbridge.
-- Put this file into a directory of plugin_paths (Debian: /usr/local/lib/prosody/modules) and "smsbridge" into the
-- modules_enabled of the Component, as in smsbridge.cfg.lua. The tests run their Prosody with this file as it is.
--
-- To users: a text of the component that comes again, same from, to and id, goes no further. It is remembered in an
-- append-only file, a line each, written before the text is handled. The Prosody that wrote it may have died in
-- between, or with what it had only in memory; so after such a death a repeat of its last two minutes is dropped if the
-- recipient's archive or offline store has it, and handled again if not.
--
-- From users: a text is kept, in a second file, until the component has acknowledged it, and written again when the
-- component enables holding on its next stream. While the component is away texts wait, and come back to their writers
-- after smsbridge_hold_seconds. Nothing is held for a component that does not ask for it. `taken`: of an owner of a
-- number, who has places of his own from then on; other texts are acknowledged as well, when they have been refused.
--
--   component: <iq type="get" to="DOMAIN"><query xmlns="http://jabber.org/protocol/disco#info"/></iq>
--   module:    … <feature var="urn:smsbridge:hold:1"/> …
--   component: <iq type="set" to="DOMAIN"><enable xmlns="urn:smsbridge:hold:1"/></iq>
--   module:    <message …>…<hold xmlns="urn:smsbridge:hold:1" id="ID"/></message>
--   component: <iq type="set" to="DOMAIN"><ack xmlns="urn:smsbridge:hold:1"><hold id="ID" taken="true"/>…</ack></iq>
--
-- Files of its own, because Prosody's internal storage writes a whole map anew for each change, and SQL syncs each. A
-- line is one write(2): kill -9 loses none. After a power cut the last lines may be missing, as in Prosody's own storage.

local st = require "util.stanza";
local datamanager = require "util.datamanager";
local sha1 = require "util.hashes".sha1;
local jid_bare = require "util.jid".bare;
local jid_split = require "util.jid".split;
local parse_xml = require "util.xml".parse;
local xpcall = require "util.xpcall".xpcall;
local new_uuid = require "util.uuid".generate;

local HOLD = "urn:smsbridge:hold:1";
local DISCO = "http://jabber.org/protocol/disco#info";
local PRIVILEGE = "urn:xmpp:privilege:2";
local FORWARD = "urn:xmpp:forward:0";
local REMEMBERED_SECONDS = 7 * 86400;
local DOUBT_SECONDS = 120; -- before a death: by then the bridge has proved what it handed, or asks again
local UNKNOWN_SECONDS = 86400; -- for what was written and not acknowledged; less than the bridge knows a repeat for
local ENABLE_SECONDS = 60; -- a component that has not asked by then will not
local LOOK_SECONDS = 10;
local MOST_OWNERS = 10000;

local host = module.host;
local hosts = prosody.hosts;
local time = os.time;

local most_remembered = module:get_option_number("smsbridge_remember", 100000);
local hold_seconds = module:get_option_number("smsbridge_hold_seconds", 3600);
local most_held = module:get_option_number("smsbridge_hold_max", 10000);
local most_held_of_one = module:get_option_number("smsbridge_hold_max_per_sender", 500);
local most_held_bytes = module:get_option_number("smsbridge_hold_max_bytes", 16 * 1024 * 1024);

if module:get_host_type() ~= "component" then
	error("mod_smsbridge belongs into the modules_enabled of the Component that smsbridge connects as", 0);
end

-- The component's session while it is connected, also if that was before this module was loaded.
local function component()
	local external = hosts[host] and hosts[host].modules.component;
	return external and external.session or nil;
end

local function is_ours(origin)
	return origin and origin.type == "component" and origin.host == host;
end

local function is_text(stanza)
	local kind = stanza.attr.type;
	return stanza.name == "message" and kind ~= "error" and kind ~= "groupchat" and kind ~= "headline"
		and (stanza:get_child("body") or stanza:get_child("x", "jabber:x:oob")) and true or false;
end

-- What a user is to see once: a text, or one in the user's own name (XEP-0356).
local function is_shown(stanza)
	return is_text(stanza) or stanza.name == "message" and stanza:get_child("privilege", PRIVILEGE) and true or false;
end

-- Append-only files ---------------------------------------------------------------------------------------------------

local function path_of(name)
	return datamanager.getpath(nil, host, name, "log", true);
end

-- Lines of a file that may be missing; one that is torn does not match what its reader looks for.
local function lines_of(path)
	local file = io.open(path, "rb");
	if not file then return function () end; end
	return function ()
		local line = file:read("*l");
		if not line then file:close(); end
		return line;
	end
end

-- A line is whole on the disk's cache, or says so; after half a line the next one begins anew.
local function open_log(path, mode)
	local file, failure = io.open(path, mode);
	if not file then
		module:log("error", "Cannot write %s: %s", path, failure);
	else
		file:setvbuf("no");
	end
	local log = { is_torn = mode == "ab", is_failing = not file };
	function log:append(line)
		if not file then return false; end
		local written, why = file:write(self.is_torn and "\n" or "", line, "\n");
		self.is_torn = not written;
		if not written and not self.is_failing then
			module:log("error", "Cannot write %s: %s", path, why);
		end
		self.is_failing = not written;
		return not self.is_failing;
	end
	function log:close()
		if file then file:close(); end
		file = nil;
	end
	return log;
end

-- To users: what was handled ------------------------------------------------------------------------------------------

local seen_path, older_path = path_of("smsbridge_seen"), path_of("smsbridge_seen_older");
local seen, older, seen_count, seen_since = {}, {}, 0, time();
local doubted, doubted_since = {}, nil;
local seen_log;

local function recall(path, into)
	local count, since, last = 0, nil, nil;
	local is_clean = nil;
	for line in lines_of(path) do
		local at, key = line:match("^(%d+) (%x+)$");
		if at and #key == 40 then
			at = tonumber(at);
			into[key], count, last = at, count + 1, at;
			since = since or at;
		elseif line == "started" then
			is_clean = false;
		elseif line == "ended" then
			is_clean = true;
		end
	end
	return count, since, last, is_clean;
end

local function load_seen()
	local _, _, older_last = recall(older_path, older);
	local count, since, last, is_clean = recall(seen_path, seen);
	seen_count, seen_since = count, since or time();
	last = last or older_last;
	if is_clean == false and last then
		doubted_since = last - DOUBT_SECONDS;
		for _, keys in ipairs({ older, seen }) do
			for key, at in pairs(keys) do
				if at >= doubted_since then doubted[key] = true; end
			end
		end
	end
	seen_log = open_log(seen_path, "ab");
	seen_log:append("started");
end

local function remember(key)
	local now = time();
	if seen_count >= most_remembered / 2 or now - seen_since >= REMEMBERED_SECONDS then
		seen_log:close();
		os.rename(seen_path, older_path);
		older, seen, seen_count, seen_since = seen, {}, 0, now;
		seen_log = open_log(seen_path, "wb");
		seen_log:append("started");
	end
	seen[key], seen_count = now, seen_count + 1;
	seen_log:append(now.." "..key);
end

-- Whether the archive or offline store of who sees it has a text; read once for each of them after a death. Where
-- Prosody died between the two, the archive alone has it. What goes out in a user's name is addressed to the user's
-- host, and it is the text within, as the user's own, that the user's archive has.
local kept_of = {};
local function is_kept(stanza)
	local privilege = stanza:get_child("privilege", PRIVILEGE);
	local forwarded = privilege and privilege:get_child("forwarded", FORWARD);
	local shown = forwarded and forwarded:get_child("message", "jabber:client") or stanza;
	local user, domain = jid_split(shown == stanza and stanza.attr.to or shown.attr.from);
	if not user or not hosts[domain] or hosts[domain].type ~= "local" then return false; end
	local bare = user.."@"..domain;
	local kept = kept_of[bare];
	if not kept then
		kept = {};
		kept_of[bare] = kept;
		local there = module:context(domain);
		local stores = {
			mam = there:get_option_string("archive_store", "archive");
			offline = "offline";
		};
		for plugin, store in pairs(stores) do
			local archive = hosts[domain].modules[plugin] and there:open_store(store, "archive");
			local items = archive and archive:find(user, { start = doubted_since });
			for _, item in items or function () end do
				kept[(item.attr.from or "").."\0"..(item.attr.id or "")] = true;
			end
		end
	end
	return kept[(shown.attr.from or "").."\0"..(shown.attr.id or "")] or false;
end

local function end_seen()
	if not next(doubted) then seen_log:append("ended"); end
end

-- Around all handlers of another host's event.
local function drop_repeats(handlers, event_name, event)
	local stanza = event.stanza;
	if not (is_ours(event.origin) and is_shown(stanza) and stanza.attr.id) then
		return handlers(event_name, event);
	end
	local key = sha1(stanza.attr.from.."\0"..stanza.attr.to.."\0"..stanza.attr.id, true);
	if seen[key] or older[key] then
		if not doubted[key] then return true; end
		doubted[key] = nil;
		if is_kept(stanza) then return true; end
	end
	remember(key);
	local is_handled, answer = xpcall(handlers, debug.traceback, event_name, event);
	if is_handled then return answer; end
	seen[key], older[key] = nil, nil;
	error(answer, 0);
end

local function watch_host(name)
	if name == host or not hosts[name] then return; end
	for _, event in ipairs({ "message/bare", "message/full", "message/host" }) do
		module:wrap_object_event(hosts[name].events, event, drop_repeats);
	end
end

-- From users: what the component has not acknowledged -----------------------------------------------------------------

local held_path = path_of("smsbridge_held");
local held_log;
local by_id, order, first, last = {}, {}, 1, 0;
local held_count, held_bytes, live_bytes, held_of = 0, 0, 0, {};
local id_prefix, id_count = new_uuid(), 0;
local settings = module:open_store("smsbridge");
local kept_settings = settings:get() or {};
local is_used = kept_settings.is_used or false; -- the component asked for it, when it was last here
local owners, owner_count = kept_settings.owners or {}, 0; -- it has taken a text of theirs
for _ in pairs(owners) do owner_count = owner_count + 1; end

-- What crowds a component that is away must not take the places of those whom it serves: who is nobody's user here and
-- was never served shares a twentieth with all others of that kind, and they share half with this server's users.
local STRANGER, LOCAL, OWNER = 1, 2, 3;
local SHARES = { [STRANGER] = 1 / 20, [LOCAL] = 1 / 2, [OWNER] = 1 };
local places = {}; -- for each rank: what it and those below it have taken
for rank in ipairs(SHARES) do places[rank] = { count = 0, bytes = 0 }; end

local function rank_of(sender)
	if owners[sender] then return OWNER; end
	local _, domain = jid_split(sender);
	return hosts[domain] and hosts[domain].type == "local" and LOCAL or STRANGER;
end

local function has_place(sender, size)
	local rank = rank_of(sender);
	local most_of_one = rank == STRANGER and math.ceil(most_held_of_one * SHARES[STRANGER]) or most_held_of_one;
	if (held_of[sender] or 0) >= most_of_one then return false; end
	for each = rank, OWNER do
		local taken, share = places[each], SHARES[each];
		if taken.count >= math.ceil(most_held * share) or taken.bytes + size > most_held_bytes * share then return false; end
	end
	return true;
end

local function take_place(entry, direction)
	for each = entry.rank, OWNER do
		local taken = places[each];
		taken.count, taken.bytes = taken.count + direction, taken.bytes + direction * entry.size;
	end
end

local ESCAPES = { ["\n"] = "\\n", ["\r"] = "\\r", ["\\"] = "\\\\" };
local PLAIN = { n = "\n", r = "\r", ["\\"] = "\\" };

-- "!": all were written. "? ID …": these go back to their writers, and to nobody else. "- ID …": these are gone.
local function line_of(entry)
	local xml = tostring(entry.stanza):gsub("[\n\r\\]", ESCAPES);
	return ("+ %s %d %s %s ;"):format(entry.id, entry.at, entry.is_written and "written" or "waiting", xml);
end

local function put(entry)
	last = last + 1;
	order[last], by_id[entry.id] = entry, entry;
	held_count, live_bytes = held_count + 1, live_bytes + entry.size;
	held_of[entry.sender] = (held_of[entry.sender] or 0) + 1;
	entry.place, entry.rank = last, rank_of(entry.sender);
	take_place(entry, 1);
end

local function take_out(entry)
	by_id[entry.id], order[entry.place] = nil, nil;
	held_count, live_bytes = held_count - 1, live_bytes - entry.size;
	take_place(entry, -1);
	local left = held_of[entry.sender] - 1;
	held_of[entry.sender] = left > 0 and left or nil;
	while first <= last and not order[first] do first = first + 1; end
end

local function entries()
	local place = first - 1;
	return function ()
		repeat place = place + 1; until place > last or order[place];
		return order[place];
	end
end

-- The file again with what is held now, and nothing else.
local function rewrite_held()
	local scratch = held_path.."~";
	local log = open_log(scratch, "wb");
	held_bytes = 0;
	local is_whole = not log.is_failing;
	for entry in entries() do
		local line = line_of(entry);
		held_bytes = held_bytes + #line;
		is_whole = log:append(line) and is_whole;
		if entry.is_returning then is_whole = log:append("? "..entry.id.." ;") and is_whole; end
	end
	if is_whole then
		if held_log then held_log:close(); end
		os.rename(scratch, held_path);
		held_log = log;
	else
		log:close();
		held_log = held_log or open_log(held_path, "ab");
	end
end

local function write_held(line)
	held_bytes = held_bytes + #line;
	return held_log:append(line);
end

local function load_held()
	for line in lines_of(held_path) do
		local id, at, state, xml = line:match("^%+ (%S+) (%d+) (%a+) (.*) ;$");
		local done, returning = line:match("^%- (.*) ;$"), line:match("^%? (.*) ;$");
		local stanza = xml and parse_xml((xml:gsub("\\(.)", PLAIN)));
		if stanza then
			put({
				id = id; at = tonumber(at); is_written = state == "written"; stanza = stanza;
				sender = jid_bare(stanza.attr.from); size = #xml;
			});
		elseif done then
			for each in done:gmatch("%S+") do
				if by_id[each] then take_out(by_id[each]); end
			end
		elseif returning then
			for each in returning:gmatch("%S+") do
				if by_id[each] then by_id[each].is_returning = true; end
			end
		elseif line == "! ;" then
			for entry in entries() do entry.is_written = entry.is_written or not entry.is_returning; end
		end
	end
	rewrite_held();
end

-- These are no longer ours to keep.
local function release(ids)
	local gone = {};
	for _, id in ipairs(ids) do
		local entry = by_id[id];
		if entry then
			take_out(entry);
			gone[#gone + 1] = id;
		end
	end
	if #gone == 0 then return; end
	if held_count == 0 or held_bytes > 2 * live_bytes + 1024 * 1024 then
		rewrite_held(); -- no text is left behind in the file
	else
		write_held("- "..table.concat(gone, " ").." ;");
	end
end

local function use(is_wanted)
	if is_used == is_wanted then return; end
	is_used = is_wanted;
	settings:set(nil, { is_used = is_used, owners = owners });
end

-- The component has taken texts of these.
local function know(senders)
	local is_new = false;
	for sender in pairs(senders) do
		if not owners[sender] and owner_count < MOST_OWNERS then
			owners[sender], owner_count, is_new = true, owner_count + 1, true;
		end
	end
	if is_new then settings:set(nil, { is_used = is_used, owners = owners }); end
end

local function write(session, entry)
	session.send(st.clone(entry.stanza):tag("hold", { xmlns = HOLD, id = entry.id }):up());
end

local NOT_SENT = "The SMS gateway cannot be reached. Your text was not sent.";
local NOT_KNOWN = "The SMS gateway went away with your text. It may not have been sent.";

-- Who was told that a text was not sent must be right: first it is written down that it goes to nobody else. After a
-- death in the midst of it the writers are told again, of the same text.
local function give_back(returned)
	local ids, fresh = {}, {};
	for _, entry in ipairs(returned) do
		ids[#ids + 1] = entry.id;
		if not entry.is_returning then fresh[#fresh + 1] = entry.id; end
	end
	if #fresh > 0 and not write_held("? "..table.concat(fresh, " ").." ;") then return; end
	for _, entry in ipairs(returned) do
		entry.is_returning = true;
		local words = entry.is_written and NOT_KNOWN or NOT_SENT;
		module:send(st.error_reply(entry.stanza, "wait", "remote-server-timeout", words, host));
	end
	release(ids);
end

local function without_holds(stanza)
	if not stanza:child_with_ns(HOLD) then return stanza; end
	return st.clone(stanza):maptags(function (tag)
		if tag.attr.xmlns ~= HOLD then return tag; end
	end);
end

local function hold(event)
	local stanza, origin = event.stanza, event.origin;
	if is_ours(origin) then return; end
	stanza = without_holds(stanza);
	event.stanza = stanza;
	local session = component();
	if not (is_used and is_text(stanza)) then return; end
	local sender = jid_bare(stanza.attr.from);
	stanza.attr.xmlns = nil;
	id_count = id_count + 1;
	local entry = {
		id = id_prefix.."-"..id_count; at = time(); stanza = st.clone(stanza); sender = sender;
		is_written = session and session.smsbridge_holds or false;
	};
	local line = line_of(entry);
	entry.size = #line;
	if not has_place(sender, #line) or not write_held(line) then
		origin.send(st.error_reply(stanza, "wait", "resource-constraint",
			"Too much waits for the SMS gateway. Your text was not sent; try again later.", host));
		return true;
	end
	put(entry);
	if entry.is_written then write(session, entry); end
	return true;
end

-- All that is held, in order, to a component that has asked for it.
local function enable(session)
	session.smsbridge_holds = true;
	use(true);
	if held_count == 0 then return; end
	write_held("! ;");
	for entry in entries() do
		if not entry.is_returning then
			entry.is_written = true;
			write(session, entry);
		end
	end
end

-- What was never written goes to a component that does not ask, as it would without us; or else to its writers.
local function let_go(session)
	local waiting, ids = {}, {};
	for entry in entries() do
		if not entry.is_written then waiting[#waiting + 1] = entry; end
	end
	if not session then return give_back(waiting); end
	if #waiting == 0 or not write_held("! ;") then return; end
	for _, entry in ipairs(waiting) do
		if not entry.is_returning then
			ids[#ids + 1], entry.is_written = entry.id, true;
			session.send(entry.stanza);
		end
	end
	release(ids);
end

local function expire()
	local now, returned = time(), {};
	local is_enabled = (component() or {}).smsbridge_holds;
	for entry in entries() do
		local age = now - entry.at;
		local is_lost = not entry.is_written and not is_enabled and age >= hold_seconds;
		if is_lost or entry.is_returning or age >= UNKNOWN_SECONDS then returned[#returned + 1] = entry; end
	end
	if #returned > 0 then
		module:log("warn", "%d texts came back to their writers: the component has not taken them", #returned);
		give_back(returned);
	end
end

local function answer_component(event)
	local origin, stanza = event.origin, event.stanza;
	local request, kind = stanza.tags[1], stanza.attr.type;
	if not request or (kind ~= "get" and kind ~= "set") then return; end
	if request.attr.xmlns == HOLD then
		if not is_ours(origin) then
			origin.send(st.error_reply(stanza, "auth", "forbidden", nil, host));
		elseif kind == "set" and request.name == "enable" then
			origin.send(st.reply(stanza));
			enable(origin);
		elseif kind == "set" and request.name == "ack" then
			local ids, taken = {}, {};
			for each in request:childtags("hold") do
				local entry = by_id[each.attr.id];
				ids[#ids + 1] = each.attr.id;
				if entry and each.attr.taken == "true" then taken[entry.sender] = true; end
			end
			know(taken);
			release(ids);
			origin.send(st.reply(stanza));
		else
			origin.send(st.error_reply(stanza, "cancel", "bad-request", nil, host));
		end
		return true;
	elseif request.attr.xmlns == DISCO and kind == "get" and is_ours(origin) and stanza.attr.from == host then
		origin.send(st.reply(stanza):tag("query", { xmlns = DISCO, node = request.attr.node })
			:tag("identity", { category = "component", type = "generic", name = "mod_smsbridge" }):up()
			:tag("feature", { var = DISCO }):up()
			:tag("feature", { var = HOLD }):up());
		return true;
	end
end

local function came(event)
	local session = event.session;
	module:add_timer(ENABLE_SECONDS, function ()
		if is_used and component() == session and not session.smsbridge_holds then
			module:log("info", "The component does not ask for what is held: nothing is held any more");
			use(false);
			let_go(session);
		end
	end);
end

-- Life ----------------------------------------------------------------------------------------------------------------

local is_stopping = false;

function module.load()
	load_seen();
	load_held();
	for name in pairs(hosts) do watch_host(name); end
	module:hook_global("host-activated", watch_host);
	module:hook_global("server-stopping", function () is_stopping = true; end);
	module:hook_global("server-stopped", end_seen);
	module:wrap_event("route/remote", drop_repeats);
	module:hook("iq/host", answer_component, 10);
	module:hook("component-authenticated", came);
	for _, event in ipairs({ "message/bare", "message/full", "message/host" }) do
		module:hook(event, hold, -0.5); -- after whoever filters, before mod_component
	end
	module:add_timer(LOOK_SECONDS, function ()
		expire();
		return LOOK_SECONDS;
	end);
end

function module.unload()
	if not module.reloading and not is_stopping then let_go(component()); end
	end_seen();
	seen_log:close();
	held_log:close();
end
