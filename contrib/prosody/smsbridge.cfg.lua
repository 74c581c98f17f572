-- smsbridge in Prosody's configuration: put this file into /etc/prosody/conf.d/, which Debian's configuration includes.
-- The tests run their Prosody (0.12) with this file as it is. Run 0.12.6 or 13.0.5 at least: earlier ones can be
-- made to use up all memory by anybody who can connect.

Component "sms.example.com"                   -- xmpp.jid of config.yaml; a subdomain of your host
  component_secret = "change-me-please"       -- xmpp.secret; make one with: openssl rand -hex 24
  -- A connection that died without a word must not keep the bridge out after a restart. The default is "kick_new".
  component_conflict_resolve = "kick_old"
  -- mod_smsbridge.lua lies beside this file; put it into a directory of plugin_paths (/usr/local/lib/prosody/modules).
  -- With it no text is shown twice, and none that a user writes is lost, whichever of the two servers dies when. It
  -- remembers what the bridge has handed over for 7 days, and keeps what users write until the bridge has it.
  modules_enabled = { "smsbridge", "privilege" }  -- "privilege" is of prosody-modules; see below
  -- smsbridge_remember = 100000              -- texts to users, at most; half as many at least
  -- smsbridge_hold_seconds = 3600            -- while the bridge is away; then a text comes back to its writer
  -- smsbridge_hold_max = 10000               -- texts that wait, at most; and of one writer, and in bytes:
  -- smsbridge_hold_max_per_sender = 500
  -- smsbridge_hold_max_bytes = 16777216
  -- Half of the places are for those of whom the bridge has taken a text before, the other half for them and the users
  -- of this server; everybody else has a twentieth of all three.

-- What you send in your carrier's portal, or with another program, shows in your clients and archive as your own
-- message, because the host of the users lets the bridge write messages in their name (XEP-0356, message). Numbers that
-- have a name come into your contact list under it, because the host lets the bridge keep that (roster): it adds its own
-- numbers and gives them their names, removes nothing, and does not touch what you have named yourself.
-- This adds to the host's section, wherever that stands; "privilege" is to be among its modules, or the global ones.
-- Leave one of them out, and the bridge says "you, from the portal: …" instead if you wish (sent_elsewhere: line), or
-- offers the names to your clients; leave both out, and the line above, and it may do nothing in anybody's name.
VirtualHost "example.com"                     -- your host
  privileged_entities = { ["sms.example.com"] = { message = "outgoing", roster = "both" } }

-- What belongs elsewhere, into the global section of prosody.cfg.lua:
--
--   modules_enabled = { …; "mam"; "offline"; "smacks"; "privilege" }
--
-- "mam" is required. The bridge counts a text as handed over when Prosody has handled it, and for a user who is online
-- it is only the archive that keeps it if Prosody is killed before the user's client has it.
--
--   default_archive_policy = true             -- the default: everything is archived, not for contacts in rosters only
--   archive_expires_after = "1y"
--   storage_archive_item_limit = 100000       -- messages per user; "internal" storage drops the oldest from 10000 on
--
-- For pictures, the upload service (XEP-0363). The bridge leaves there what comes in, and fetches what you attach:
--
--   Component "upload.example.com" "http_file_share"
--     -- http_file_share_access = { "example.com", "sms.example.com" }  -- if you set it at all, name the bridge too
--
-- A component's stream is not encrypted, and whoever has the secret speaks for every number. Leave the port where it
-- is by default, on this machine alone:
--
--   component_ports = { 5347 }
--   component_interfaces = { "127.0.0.1", "::1" }
