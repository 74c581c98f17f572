"""The status strings a VoIP.ms answer may carry, with a sentence for each, and the refusal that carries one."""

WORDS = {
    "api_limit_exceeded": "The API calls per minute are used up",
    "api_not_enabled": "The API is not enabled for this account",
    "exceeds_file_size": "The file is larger than allowed",
    "invalid_callback": "The callback is not valid",
    "invalid_callback_enable": "The value to enable the callback is not valid",
    "invalid_callback_retry": "The value of the callback retry is not valid",
    "invalid_contact": "The contact is not a valid number",
    "invalid_credentials": "Username or password is incorrect",
    "invalid_date": "The date is not valid",
    "invalid_date_from": "The first date is later than the last one",
    "invalid_daterange": "The dates are more than 92 days apart",
    "invalid_did": "This is not a DID of the account with SMS",
    "invalid_dst": "The destination number is not valid",
    "invalid_email_enable": "The value to enable the e-mail is not valid",
    "invalid_file": "The file is not of a known kind",
    "invalid_forward_enable": "The value to enable the forwarding is not valid",
    "invalid_id": "The id is not valid",
    "invalid_method": "There is no such method",
    "invalid_sms": "The SMS id is not valid",
    "invalid_sms_forward": "The forwarding number is not valid",
    "invalid_smpp_password": "The SMPP password is not valid",
    "invalid_smpp_url": "The SMPP URL is not valid",
    "invalid_smpp_username": "The SMPP user name is not valid",
    "invalid_timezone": "The time zone is not valid",
    "invalid_type": "The type is not valid",
    "ip_not_enabled": "This IP is not enabled for API use",
    "limit_reached": "The messages of this day are used up",
    "message_empty": "The message is empty",
    "method_maintenance": "This method is under maintenance",
    "missing_credentials": "Username or password is missing",
    "missing_did": "The DID is missing",
    "missing_file": "The file is missing",
    "missing_id": "The id is missing",
    "missing_method": "No method was given",
    "missing_params": "A required parameter is missing",
    "missing_sms": "The SMS id is missing",
    "no_base64file": "The file is not base64",
    "no_did": "There are no DIDs",
    "no_mms": "There are no MMS",
    "no_sms": "There are no SMS messages",
    "non_sufficient_funds": "The balance does not suffice",
    "provider_outofservice": "One of our carriers is out of service",
    "sms_apply_regulations": "Regulations apply to this DID, contact support",
    "sms_failed": "The message was not sent",
    "sms_toolong": "The message is too long",
    "sms_wait_message": "Wait a minute before you change this DID again",
    "tls_error": "A TLS error occurred",
    "unavailable_info": "This is not available at the moment",
}


class Refusal(Exception):
    """The call is answered with a status other than success, and nothing came of it."""

    def __init__(self, status: str) -> None:
        super().__init__(status)
        self.status = status


def refused(status: str) -> dict[str, object]:
    """The answer's JSON object; any of the 480 codes may be asked for, listed here or not."""
    return {"status": status, "message": WORDS.get(status, status)} if status != "success" else {"status": status}
